using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What the loop knows of one device. Touched by the loop alone.</summary>
internal sealed class DeviceState(Device device)
{
    private TimeSpan _pause;

    public Device Device { get; } = device;

    public DeviceId Id => Device.Id;

    public Desired Desired { get; private set; } = Desired.Home;

    /// <summary>Who should have had it before: until a look shows otherwise, it may still be there.</summary>
    public Owner LastOwner { get; private set; }

    public Placement Placement { get; private set; }

    public string? Trouble { get; private set; }

    /// <summary>It isn't where it should be, or nobody can tell.</summary>
    public bool IsAstray { get; private set; }

    /// <summary>The handoff under way.</summary>
    public RunningHandoff? Run { get; set; }

    /// <summary>A look is under way.</summary>
    public bool Looking { get; set; }

    /// <summary>Something may have changed since that look began.</summary>
    public bool Stale { get; set; }

    /// <summary>Monotonic timestamp at which its time limit is over.</summary>
    public long? Expiry { get; private set; }

    /// <summary>Monotonic timestamp of the next attempt to set it right.</summary>
    public long? Retry { get; private set; }

    public void Want(Desired desired, TimeProvider clock)
    {
        LastOwner = Desired.Owner;
        Desired = desired;
        Expiry = desired.Limit is { } limit ? After(clock, limit.Remaining(clock.GetUtcNow())) : null;
    }

    public void Saw(Observation? observation, string? trouble)
    {
        if (observation is not null) (Placement, LastOwner) = (Placement.Of(observation), Owner.Host);
        Trouble = trouble;
        var settled = Placement.IsAt(Desired.Owner) || Placement.Where == Whereabouts.Absent;
        IsAstray = !settled || trouble is not null || observation is { Machines.Count: > 1 };
    }

    public void RetryNow() => Retry = null;

    public void RetryNever() => (Retry, _pause) = (null, TimeSpan.Zero);

    public void RetryLater(TimeProvider clock, TimeSpan first, TimeSpan longest)
    {
        _pause = _pause == TimeSpan.Zero ? first : TimeSpan.FromTicks(Math.Min(_pause.Ticks * 2, longest.Ticks));
        Retry = After(clock, _pause);
    }

    public DeviceView View() => new(Device, Desired.Owner, Placement, Run?.Id, Desired.Limit?.Until, Trouble);

    private static long After(TimeProvider clock, TimeSpan time) =>
        clock.GetTimestamp() + (long)(time.TotalSeconds * clock.TimestampFrequency);
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

/// <summary>Writes states in order, and only the latest of those that wait.</summary>
internal sealed class StateWriter(IStateStore store) : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private ImmutableDictionary<DeviceId, Desired> _latest = ImmutableDictionary<DeviceId, Desired>.Empty;
    private ImmutableDictionary<DeviceId, Desired>? _written;

    /// <exception cref="IOException">It could not be written.</exception>
    public async Task SaveAsync(ImmutableDictionary<DeviceId, Desired> state, CancellationToken cancellationToken)
    {
        Volatile.Write(ref _latest, state);
        await _turn.WaitAsync(cancellationToken);
        try
        {
            var latest = Volatile.Read(ref _latest);
            if (_written is not null && Same(_written, latest)) return;
            await store.SaveAsync(latest, cancellationToken);
            _written = latest;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Never throws; a failure is the store's to report, and the next write tries again.</summary>
    public void SaveLater(ImmutableDictionary<DeviceId, Desired> state) => _ = Task.Run(async () =>
    {
        try
        {
            await SaveAsync(state, CancellationToken.None);
        }
        catch (IOException failure)
        {
            store.ReportFailure(failure);
        }
    });

    /// <summary>Waits for a write under way.</summary>
    public async ValueTask DisposeAsync()
    {
        await _turn.WaitAsync();
        _turn.Dispose();
    }

    private static bool Same(ImmutableDictionary<DeviceId, Desired> a, ImmutableDictionary<DeviceId, Desired> b) =>
        a.Count == b.Count && a.All(pair => b.TryGetValue(pair.Key, out var other) && other == pair.Value);
}
