using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// The host's input: all keyboards are listened to for hotkeys, and the devices that travel by relay are relayed. Each event node
/// is opened once, so nothing is heard twice. When it ends, or the process does, every device is the host's again.
/// </summary>
public sealed class HostInput : IAsyncDisposable
{
    private static readonly TimeSpan CloneDeadline = TimeSpan.FromSeconds(1);
    private readonly IInputKernel _kernel;
    private readonly IUeventSource _events;
    private readonly TimeProvider _clock;
    private readonly Action<string> _warn;
    private readonly ImmutableArray<InputRelay> _relays;
    private readonly Dictionary<InputSource, InputRelay?> _sources = [];
    private readonly ConcurrentDictionary<MachineId, GuestLeds> _leds = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly UeventHub _changes = new();
    private readonly TaskCompletionSource _looked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly InputLoop _loop;
    private readonly InputWatch _watch;
    private readonly Task _watching;
    private int _lastNumber;
    private int _isDisposed;

    private HostInput(IInputKernel kernel, IUeventSource events, IEnumerable<Device> devices, TimeProvider clock, Action<string> warn)
    {
        (_kernel, _events, _clock, _warn) = (kernel, events, clock, warn);
        _loop = new(clock, Gone, End);
        var surroundings = new RelaySurroundings(_loop, MakeCloneAsync, Reopen, warn);
        _relays = [.. devices.Where(device => device.Route is DeviceRoute.Input).Select(device => new InputRelay(device, surroundings))];
        _watch = new(kernel, events, clock, node => node.HasKeys || RelayOf(node) is not null, device => _loop.Post(() => Add(device)), Seen, warn);
        _watching = _watch.RunAsync(() => _loop.Post(() => _looked.TrySetResult()), _stopping.Token);
    }

    public HotkeyListener Hotkeys { get; } = new();

    /// <summary>A node was opened or has gone, as we know it: later than the kernel's event tells.</summary>
    public IUeventSource Changes => _changes;

    /// <summary>Ends with an error when input can't be read any more; then every device is the host's, and no hotkey is heard.</summary>
    public Task Completion => Task.WhenAny(_loop.Completion, _watching).Unwrap();

    /// <summary>Returns once all that is plugged in was looked at.</summary>
    /// <param name="devices">Those of the route input are relayed.</param>
    /// <param name="warn">Takes sentences for the log, from any thread.</param>
    /// <exception cref="IOException">No descriptor is left.</exception>
    public static async Task<HostInput> StartAsync(
        IInputKernel kernel, IUeventSource events, IEnumerable<Device> devices, TimeProvider clock, Action<string> warn, CancellationToken cancellationToken)
    {
        var input = new HostInput(kernel, events, devices, clock, warn);
        try
        {
            await (await Task.WhenAny(input._looked.Task, input.Completion).WaitAsync(cancellationToken));
            return input;
        }
        catch
        {
            await input.DisposeAsync();
            throw;
        }
    }

    /// <summary>Some device is relayed, so that a guest's leds can be shown.</summary>
    public bool IsRelaying => !_relays.IsEmpty;

    /// <summary>Has the leds of a machine's guest shown on what it has, and on what it gets later. From any thread, and quick.</summary>
    /// <param name="leds">Null: they aren't known any more. What shows them stays as it is.</param>
    public void ShowLeds(MachineId machine, LockLeds? leds) => _leds.GetOrAdd(machine, id => new(_loop, now => ShowOnRelays(id, now))).Tell(leds);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0) return;
        await _stopping.CancelAsync();
        await _watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _loop.DisposeAsync();
        _stopping.Dispose();
    }

    /// <summary>Asks a device's relay, in the loop that it belongs to.</summary>
    /// <exception cref="SwitchException">Failed: input can't be read any more.</exception>
    internal async Task<T> AskAsync<T>(Device device, Func<InputRelay, T> question, CancellationToken cancellationToken)
    {
        var relay = _relays.FirstOrDefault(relay => relay.Device.Id == device.Id)
            ?? throw new ArgumentException($"{device.Id} travels by {device.Route.Word}, not by input", nameof(device));
        try
        {
            return await _loop.AskAsync(() => question(relay), cancellationToken);
        }
        catch (ObjectDisposedException e)
        {
            throw new SwitchException(Failure.Failed, $"{device.Id} can't be switched: input is no longer read; restart the daemon", e);
        }
    }

    private InputRelay? RelayOf(InputNode node) =>
        _relays.FirstOrDefault(relay => relay.Device.Route is DeviceRoute.Input input && Fits(input.Match, node));

    private static bool Fits(InputMatch match, InputNode node) => match switch
    {
        InputMatch.ByPort byPort => node.Port == byPort.Port,
        InputMatch.ByLink byLink => node.Links.Contains(Path.GetFileName(byLink.Link)),
        _ => throw new ArgumentOutOfRangeException(nameof(match), match, "no such way to match"),
    };

    private void Add(IEvdevNode device)
    {
        var relay = RelayOf(device.Node);
        var source = new InputSource(++_lastNumber, device, Hotkeys, Hush) { Pumped = relay is null ? null : relay.Pumped };
        if (relay is null) device.KeysOnly();
        _sources.Add(source, relay);
        _loop.Poll(source);
        relay?.Attach(source);
        _changes.Publish(Uevent.Rescan);
    }

    /// <summary>Its links may have come after it: then it belongs to a relay only now.</summary>
    private void Seen(InputNode node)
    {
        if (RelayOf(node) is null) return;
        _loop.Post(() =>
        {
            var stray = _sources.FirstOrDefault(pair => pair.Value is null && pair.Key.Device.Node.Key == node.Key).Key;
            if (stray is not null) Reopen(stray);
        });
    }

    private void ShowOnRelays(MachineId machine, LockLeds? leds)
    {
        foreach (var relay in _relays) relay.ShowLeds(machine, leds);
    }

    private void Hush()
    {
        foreach (var relay in _relays) relay.Hush();
    }

    private void Gone(IPollee pollee, Exception? error)
    {
        if (error is not null) _warn($"an input device failed: {error.Message}");
        if (pollee is InputSource source) Close(source);
    }

    private void Reopen(InputSource source)
    {
        _loop.Unpoll(source);
        Close(source);
    }

    private void Close(InputSource source)
    {
        if (!_sources.Remove(source, out var relay)) return;
        relay?.Detach(source);
        source.Dispose();
        _watch.Closed(source.Device.Node);
        _changes.Publish(Uevent.Rescan);
    }

    private void End()
    {
        foreach (var relay in _relays) relay.Dispose();
        foreach (var source in _sources.Keys) source.Dispose();
    }

    /// <summary>Returns once udev, where it runs, is done with it: it sets the node's owner, which we set after it.</summary>
    private async Task<IVirtualInput> MakeCloneAsync(CloneSpec spec)
    {
        using var listener = _events.Listen();
        var clone = _kernel.Create(spec);
        try
        {
            await listener.WaitAsync(uevent => uevent.DevPath.EndsWith($"/{clone.Event}", StringComparison.Ordinal), CloneDeadline, _clock, _stopping.Token);
            clone.GiveTo(user: 0, group: 0);
            return clone;
        }
        catch
        {
            clone.Dispose();
            throw;
        }
    }
}
