using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.GuestTools;

/// <summary>A disc that a guest sees.</summary>
/// <param name="Expires">By the clock on the wall, for people.</param>
/// <param name="Files">By their names on the disc.</param>
/// <param name="Missing">What could be on it and is not, one sentence each.</param>
internal sealed record ShownDisc(MachineId Machine, DateTimeOffset Expires, ImmutableArray<string> Files, ImmutableArray<string> Missing);

/// <summary>
/// Shows guests their disc, one for each machine at most, and takes it away when its code is used up, its time is over, its QEMU ends, or
/// the daemon does. With the disc its code ends, whatever else happens.
/// </summary>
internal sealed partial class ToolsDesk(
    SwitchConfiguration configuration, MachinePark machines, PairingDesk codes, IDiscImages images, TimeProvider clock, ILogger log) : IAsyncDisposable
{
    public static readonly TimeSpan MaxLifetime = TimeSpan.FromMinutes(10);

    /// <summary>After pairing: an installer that runs from the disc has its last lines to read.</summary>
    public static readonly TimeSpan Linger = TimeSpan.FromSeconds(10);

    /// <summary>Between attempts to take a disc from a QEMU that doesn't answer.</summary>
    public static readonly TimeSpan Retry = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<MachineId, Place> _places = [];
    private readonly CancellationTokenSource _closing = new();

    /// <summary>Returns once the guest can see the disc. An earlier one is gone by then, and its code is void.</summary>
    /// <exception cref="SwitchException">It can't be shown: nothing of it is left, and no earlier one either.</exception>
    public async Task<ShownDisc> ShowAsync(MachineId machine, TimeSpan lifetime, CancellationToken cancellationToken)
    {
        if (lifetime <= TimeSpan.Zero || lifetime > MaxLifetime)
            throw new SwitchException(Failure.Usage, $"the disc stays for more than nothing and at most {MaxLifetime.TotalMinutes:0} minutes");
        var runtime = machines[machine];
        _ = runtime.Client;
        var ports = ToolsPorts.Free(runtime.Options, configuration.Devices);
        var tools = ToolFiles.Find(configuration.Daemon.GuestTools);
        return await InTurnAsync(machine, place => ShowInTurnAsync(place, runtime, new(lifetime, ports, tools), cancellationToken), cancellationToken);
    }

    /// <returns>False: there was none.</returns>
    /// <exception cref="SwitchException">QEMU does not let go of it; its code is void all the same.</exception>
    public Task<bool> RemoveAsync(MachineId machine, CancellationToken cancellationToken) => InTurnAsync(
        machine,
        async place =>
        {
            var shown = await ForgetAsync(place);
            return await TakeAwayAsync(machines[machine], cancellationToken) || shown;
        },
        cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_closing.IsCancellationRequested) return;
        await _closing.CancelAsync();
        foreach (var place in _places.Values)
        {
            if (place.Shown is not { } shown) continue;
            await shown.Watch;
            codes.Void(shown.Code);
            await TryTakeAwayAsync(machines[shown.Code.Machine], CancellationToken.None);
        }
    }

    private async Task<ShownDisc> ShowInTurnAsync(Place place, MachineRuntime runtime, Wish wish, CancellationToken cancellationToken)
    {
        await ForgetAsync(place);
        var code = codes.CreateTicket(runtime.Id, wish.Lifetime);
        try
        {
            var files = DiscContent.Of(wish.Tools, runtime.Id, code.Code);
            using var image = await images.MakeAsync(files, cancellationToken);
            var port = await QemuToolsDisc.AddAsync(runtime.Client, image, wish.Ports, cancellationToken);
            LogShown(runtime.Id, port.Bus, port.Port, wish.Lifetime.TotalMinutes);
            place.Shown = Watch(runtime, code, wish.Lifetime);
            return new(runtime.Id, code.Expires, [.. files.Select(file => file.Name)], wish.Tools.Missing);
        }
        catch (QmpException failure)
        {
            throw await UndoneAsync(runtime, code, Explain(failure, $"showing the disc to {runtime.Id}"));
        }
        catch (Exception failure)
        {
            throw await UndoneAsync(runtime, code, failure);
        }
    }

    /// <summary>An earlier disc goes as well: its code is void, so that it would only mislead.</summary>
    private async Task<Exception> UndoneAsync(MachineRuntime runtime, IssuedCode code, Exception failure)
    {
        codes.Void(code);
        await TryTakeAwayAsync(runtime, CancellationToken.None);
        return failure;
    }

    private Shown Watch(MachineRuntime runtime, IssuedCode code, TimeSpan lifetime)
    {
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        // Made here, so that time counts from now on also when the watch gets its turn late.
        var over = Task.Delay(lifetime, clock, cancel.Token);
        return new(code, cancel, Task.Run(() => WatchAsync(runtime, code, over, cancel.Token), CancellationToken.None));
    }

    private async Task WatchAsync(MachineRuntime runtime, IssuedCode code, Task over, CancellationToken cancellationToken)
    {
        try
        {
            var exit = runtime.Process?.Exited ?? Task.FromResult<int?>(null);
            await Task.WhenAny(code.End, over, exit).WaitAsync(cancellationToken);
            if (code.End.IsCompleted && await code.End == CodeEnd.Used) await Task.WhenAny(Task.Delay(Linger, clock, cancellationToken), exit).WaitAsync(cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            codes.Void(code);
            LogEnded(runtime.Id, exit.IsCompleted ? "its QEMU ended" : code.End.IsCompleted ? $"its code is {Word(await code.End)}" : "its time is over");
            while (!exit.IsCompleted && !await TryTakeAwayAsync(runtime, cancellationToken)) await Task.Delay(Retry, clock, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // Whoever cancels takes the disc away.
        }
    }

    /// <summary>Ends the watch over a disc, and its code. The disc itself stays.</summary>
    private async Task<bool> ForgetAsync(Place place)
    {
        if (place.Shown is not { } shown) return false;
        var isThere = !shown.Watch.IsCompleted;
        await shown.Cancel.CancelAsync();
        await shown.Watch;
        shown.Cancel.Dispose();
        codes.Void(shown.Code);
        place.Shown = null;
        return isThere;
    }

    private static async Task<bool> TakeAwayAsync(MachineRuntime runtime, CancellationToken cancellationToken)
    {
        if (!runtime.Status.HasProcess) return false;
        try
        {
            return await QemuToolsDisc.RemoveAsync(runtime.Client, cancellationToken);
        }
        catch (QmpException failure)
        {
            throw Explain(failure, $"taking the disc from {runtime.Id}");
        }
    }

    private async Task<bool> TryTakeAwayAsync(MachineRuntime runtime, CancellationToken cancellationToken)
    {
        try
        {
            await TakeAwayAsync(runtime, cancellationToken);
            return true;
        }
        catch (SwitchException failure)
        {
            LogStays(runtime.Id, failure.Message);
            return false;
        }
    }

    private async Task<T> InTurnAsync<T>(MachineId machine, Func<Place, Task<T>> act, CancellationToken cancellationToken)
    {
        var place = _places.GetOrAdd(machine, static _ => new());
        await place.Turn.WaitAsync(cancellationToken);
        try
        {
            return await act(place);
        }
        finally
        {
            place.Turn.Release();
        }
    }

    private static SwitchException Explain(QmpException failure, string doing) => new(
        failure is QmpTimeoutException ? Failure.TimedOut : Failure.Failed, $"{doing} failed: {failure.Message.TrimEnd('.')}", failure);

    private static string Word(CodeEnd end) => end switch
    {
        CodeEnd.Used => "used",
        CodeEnd.Replaced => "replaced by a newer one",
        _ => "void",
    };

    private sealed record Wish(TimeSpan Lifetime, ImmutableArray<ToolsPort> Ports, ToolFiles Tools);

    private sealed record Shown(IssuedCode Code, CancellationTokenSource Cancel, Task Watch);

    /// <summary>What one machine is shown. The turn guards it.</summary>
    private sealed class Place
    {
        public SemaphoreSlim Turn { get; } = new(1);

        public Shown? Shown { get; set; }
    }

    [LoggerMessage(1500, LogLevel.Information, "{Machine}: the guest tools are shown at {Bus} port {Port}, for {Minutes} minutes at most")]
    private partial void LogShown(MachineId machine, string bus, int port, double minutes);

    [LoggerMessage(1501, LogLevel.Information, "{Machine}: the guest tools go away, because {Reason}")]
    private partial void LogEnded(MachineId machine, string reason);

    [LoggerMessage(1502, LogLevel.Warning, "{Machine}: the guest tools stay in QEMU, though their code is void: {Reason}")]
    private partial void LogStays(MachineId machine, string reason);
}
