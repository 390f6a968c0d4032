using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What the loop knows of one device. Touched by the loop alone.</summary>
internal sealed class DeviceState(Device device)
{
    private const double Century = 100 * 365 * 86400.0;

    private TimeSpan _pause;

    public Device Device { get; } = device;

    public DeviceId Id => Device.Id;

    public Desired Desired { get; private set; } = Desired.Home;

    /// <summary>The machines that may hold it: it was wanted or seen there, and no look at them has shown otherwise since.</summary>
    public ImmutableHashSet<MachineId> Suspects { get; private set; } = [];

    /// <summary>Counts its handoffs, so that a look from before one is known as outdated.</summary>
    public long Handoffs { get; set; }

    public Placement Placement { get; private set; }

    public string? Trouble { get; private set; }

    /// <summary>The failure to set it right that the history tells already.</summary>
    public string? Recorded { get; set; }

    /// <summary>It isn't where it should be, or nobody can tell.</summary>
    public bool IsAstray { get; private set; }

    /// <summary>The handoff under way.</summary>
    public RunningHandoff? Run { get; set; }

    /// <summary>A look is under way.</summary>
    public bool Looking { get; set; }

    /// <summary>Something may have changed since that look began.</summary>
    public bool Stale { get; set; }

    /// <summary>Steps of its handoffs that were given up on and run on nevertheless.</summary>
    public int OverdueSteps { get; set; }

    /// <summary>It was unplugged while a machine owned it, and goes back there when it is plugged in again.</summary>
    public bool IsAwaited { get; set; }

    /// <summary>Monotonic timestamp at which it was plugged in last.</summary>
    public long? PluggedIn { get; set; }

    /// <summary>Monotonic timestamp at which its time limit is over.</summary>
    public long? Expiry { get; private set; }

    /// <summary>Monotonic timestamp of the next attempt to set it right.</summary>
    public long? Retry { get; private set; }

    public void Want(Desired desired, TimeProvider clock)
    {
        if (desired.Owner.Machine is { } machine) Suspect(machine);
        Desired = desired;
        IsAwaited = false;
        Expiry = desired.Limit is { } limit ? After(clock, limit.Remaining(clock.GetUtcNow())) : null;
    }

    public void Suspect(MachineId machine) => Suspects = Suspects.Add(machine);

    /// <summary>The handoff is over, and it is where it should be.</summary>
    public void Arrived() => Desired = Desired with { Pending = false };

    /// <param name="asked">The machines that answered for it.</param>
    public void Saw(Observation? observation, string? trouble, ImmutableHashSet<MachineId> asked)
    {
        if (observation is not null)
        {
            // What changed since the look began may be an arrival where nothing was seen: such a look clears nobody.
            var unasked = Stale ? Suspects : Suspects.Except(asked);
            (Placement, Suspects) = (Placement.Of(observation), unasked.Union(observation.Machines).Union(observation.Stale));
        }

        var settled = Placement.IsAt(Desired.Owner) || Placement.Where == Whereabouts.Absent;
        var leftover = Desired.Owner.IsHost && observation is { Stale.IsEmpty: false };
        IsAstray = !settled || leftover || trouble is not null || observation is { Machines.Count: > 1 };

        // What was wrong stays told until it is right.
        Trouble = trouble ?? (IsAstray ? Trouble : null);
    }

    public void RetryNow() => Retry = null;

    public void RetryNever() => (Retry, _pause) = (null, TimeSpan.Zero);

    public void RetryLater(TimeProvider clock, TimeSpan first, TimeSpan longest)
    {
        _pause = _pause == TimeSpan.Zero ? first : TimeSpan.FromTicks(Math.Min(_pause.Ticks * 2, longest.Ticks));
        Retry = After(clock, _pause);
    }

    public DeviceView View() => new(Device, Desired.Owner, Placement, Run?.Id, Desired.Limit?.Until, Trouble);

    // Further ahead than this is never, and a timestamp must not overflow.
    private static long After(TimeProvider clock, TimeSpan time) =>
        clock.GetTimestamp() + (long)(Math.Min(time.TotalSeconds, Century) * clock.TimestampFrequency);
}

/// <summary>What the loop knows of one machine.</summary>
internal sealed class MachineState(MachineId id, Lease lease)
{
    public MachineId Id { get; } = id;

    public bool Running { get; set; }

    public Lease Lease { get; } = lease;
}

/// <summary>A handoff under way: who asked for what, and the means to end it early.</summary>
internal sealed class RunningHandoff(string id, HandoffRequest request) : IAsyncDisposable
{
    private readonly CancellationTokenSource _cancel = new();
    private Task _cancelling = Task.CompletedTask;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Id { get; } = id;

    public Owner To => request.To;

    public CancellationToken Cancelled => _cancel.Token;

    public string? WhyCancelled { get; private set; }

    public Task Ended => _ended.Task;

    public void Cancel(string gesture)
    {
        WhyCancelled ??= gesture switch
        {
            Gesture.Cli or Gesture.Hotkey => "somebody asked for the devices back meanwhile",
            _ => $"the devices had to come home meanwhile ({gesture})",
        };

        // A callback of the run must not run on the loop.
        _cancelling = _cancel.CancelAsync();
    }

    public void End()
    {
        _ended.SetResult();
        _ = DisposeAsync().AsTask();
    }

    public async ValueTask DisposeAsync()
    {
        await _cancelling;
        _cancel.Dispose();
    }
}

/// <summary>Writes the state that is wanted last; what could not be written is tried again.</summary>
internal sealed class StateWriter(IStateStore store, TimeProvider clock) : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LastChance = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _closing = new();

    /// <summary>Null until something is wanted: a state that could not be read must not be overwritten.</summary>
    private volatile ImmutableDictionary<DeviceId, Desired>? _latest;
    private ImmutableDictionary<DeviceId, Desired>? _written;
    private int _retrying;

    /// <summary>Called on the loop alone, so that states can't overtake each other.</summary>
    public void Want(ImmutableDictionary<DeviceId, Desired> state) => _latest = state;

    /// <summary>Returns once what is wanted now, or later, is written.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    public async Task SaveAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_latest is not { } latest || (_written is not null && Same(_written, latest))) return;

            // A write that fails or is given up may have happened nevertheless.
            _written = null;
            await store.SaveAsync(latest, cancellationToken);
            _written = latest;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Never throws; failures are the store's to report, and it is tried again.</summary>
    public void SaveLater() => _ = Task.Run(async () =>
    {
        if (await TriedAsync() || Interlocked.Exchange(ref _retrying, 1) == 1) return;
        var pause = FirstPause;
        do
        {
            await Task.Delay(pause, clock, _closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
        while (!_closing.IsCancellationRequested && !await TriedAsync());
        Volatile.Write(ref _retrying, 0);
    });

    /// <summary>Writes what is owed, for the last time; a disk that hangs is not waited for.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        try
        {
            await SaveAsync(CancellationToken.None).WaitAsync(LastChance, clock);
        }
        catch (IOException failure)
        {
            store.ReportFailure(failure);
        }
        catch (TimeoutException late)
        {
            store.ReportFailure(new($"writing the state took longer than {LastChance.TotalSeconds:0} s", late));
        }
    }

    private async Task<bool> TriedAsync()
    {
        using var deadline = new CancellationTokenSource(LastChance, clock);
        try
        {
            await SaveAsync(deadline.Token);
            return true;
        }
        catch (IOException failure)
        {
            store.ReportFailure(failure);
        }
        catch (OperationCanceledException late)
        {
            store.ReportFailure(new($"writing the state took longer than {LastChance.TotalSeconds:0} s", late));
        }

        return false;
    }

    private static bool Same(ImmutableDictionary<DeviceId, Desired> a, ImmutableDictionary<DeviceId, Desired> b) =>
        a.Count == b.Count && a.All(pair => b.TryGetValue(pair.Key, out var other) && other == pair.Value);
}
