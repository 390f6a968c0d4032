using System.Collections.Immutable;
using System.Globalization;
using System.Threading.Channels;

namespace KvmSwitch.Core;

/// <summary>What is switched.</summary>
public sealed record SwitchSetup(ImmutableArray<Device> Devices, ImmutableArray<MachineId> Machines, LeaseTimes Lease)
{
    /// <summary>Plugging a device in twice within this time brings it home; zero: it doesn't.</summary>
    public TimeSpan RescueWithin { get; init; } = TimeSpan.FromSeconds(3);
}

/// <summary>
/// Owns the switching state. One loop writes it; everybody else sends it messages and reads snapshots. What a message starts
/// (a handoff, a look) runs beside the loop and reports back to it as a message.
/// </summary>
public sealed partial class Switcher : IAsyncDisposable
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    /// <summary>A timer takes no more than 49 days.</summary>
    private static readonly TimeSpan LongestAlarm = TimeSpan.FromDays(1);

    private readonly Channel<Action> _inbox = Channel.CreateUnbounded<Action>(new() { SingleReader = true });
    private readonly SwitchEdges _edges;
    private readonly IStateStore _store;
    private readonly ImmutableDictionary<DeviceId, DeviceState> _devices;
    private readonly ImmutableDictionary<MachineId, MachineState> _machines;
    private readonly SnapshotFeed<Snapshot> _feed;
    private readonly StateWriter _writer;
    private readonly ITimer _alarm;
    private readonly string _epoch;
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The loop will answer nothing more.</summary>
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _lastId;
    private bool _closing;
    private long? _alarmAt;
    private Task _loop = Task.CompletedTask;

    public Switcher(SwitchSetup setup, SwitchEdges edges, IStateStore store)
    {
        (_edges, _store) = (edges, store);
        _writer = new(store, edges.Clock);
        _devices = setup.Devices.ToImmutableDictionary(device => device.Id, device => new DeviceState(device));
        _machines = setup.Machines.ToImmutableDictionary(id => id, id => new MachineState(id, new(edges.Clock, setup.Lease)));
        Order = setup;
        _epoch = edges.Clock.GetUtcNow().ToUnixTimeMilliseconds().ToString("x", CultureInfo.InvariantCulture);
        _alarm = edges.Clock.CreateTimer(_ => Post(OnAlarm), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _feed = new(TakeSnapshot());
    }

    /// <summary>The state now. Never waits.</summary>
    public Snapshot Current => _feed.Current;

    private SwitchSetup Order { get; }

    /// <summary>The state now and after every change.</summary>
    public IAsyncEnumerable<Snapshot> WatchAsync(CancellationToken cancellationToken) => _feed.WatchAsync(cancellationToken);

    /// <summary>
    /// Reads what is wanted, looks where everything is, and sets right what differs: starting up is reconciling. A handoff to a
    /// machine that a crash cut short is not resumed: its devices go home.
    /// </summary>
    /// <param name="running">The machines that run already.</param>
    /// <returns>Once the first look is over. Devices that have to come home may still be on their way.</returns>
    /// <exception cref="SwitchException">The saved state can't be read.</exception>
    public Task StartAsync(IReadOnlyCollection<MachineId> running)
    {
        var saved = _store.Load();
        _loop = Task.Run(LoopAsync);
        Post(() =>
        {
            foreach (var (id, desired) in saved) Adopt(id, desired);
            foreach (var id in running) Of(id, machine => machine.Running = true);
            Look();
        });
        return _settled.Task;
    }

    /// <summary>Moves devices, and returns when that is done and seen on the other side.</summary>
    /// <exception cref="SwitchException">Refused, or failed and undone: the message says why.</exception>
    public async Task<Handoff> RequestAsync(HandoffRequest request)
    {
        var answer = new TaskCompletionSource<Handoff>(TaskCreationOptions.RunContinuationsAsynchronously);
        var taken = Post(() =>
        {
            try
            {
                Begin(request, answer);
            }
            catch (SwitchException refusal)
            {
                answer.SetException(refusal);
            }
        });
        if (taken) await Task.WhenAny(answer.Task, _stopped.Task);
        if (!answer.Task.IsCompleted) throw Rules.Closing();
        return await answer.Task;
    }

    /// <summary>QEMU of this machine runs and answers.</summary>
    public void MachineUp(MachineId machine) => Post(() => Of(machine, OnMachineUp));

    /// <summary>The guest was reset, shut down, panicked, or its QEMU ended: all it held comes home, now.</summary>
    /// <param name="gesture">The word for the history, of <see cref="Gesture"/>.</param>
    public void GuestLost(MachineId machine, string gesture) => Post(() => Of(machine, known => OnGuestLost(known, gesture)));

    /// <summary>An agent proved itself to be this machine's. Its heartbeats count from now on.</summary>
    public void AgentConnected(MachineId machine, long session) => Post(() => Of(machine, known => known.Lease.Connect(session)));

    /// <summary>The link to an agent ended. What its guest holds may stay until the lease runs out; nothing more is given to it.</summary>
    public void AgentGone(MachineId machine, long session) => Post(() => Of(machine, state => state.Lease.Disconnect(session)));

    public void Heartbeat(MachineId machine, long session) => Post(() => Of(machine, known => known.Lease.Renew(session)));

    /// <summary>Something may have changed outside: look again.</summary>
    public void LookAgain() => Post(LookSoon);

    /// <summary>The device was plugged in. Twice in quick succession means: bring it home.</summary>
    public void PluggedIn(DeviceId device) => Post(() =>
    {
        if (_devices.TryGetValue(device, out var known)) OnPluggedIn(known);
    });

    /// <summary>Faults when the loop met a defect of its own: then only starting anew (which reconciles) helps.</summary>
    public Task Ended => _loop;

    /// <summary>Lets handoffs under way end (each step has its deadline), then stops. Devices stay where they are.</summary>
    public async ValueTask DisposeAsync()
    {
        Post(() =>
        {
            _closing = true;
            CloseWhenIdle();
        });
        if (_loop == Task.CompletedTask) Stop();
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _alarm.DisposeAsync();
        await _writer.DisposeAsync();
    }

    private void CloseWhenIdle()
    {
        if (_closing && IsAtRest) _inbox.Writer.TryComplete();
    }

    private bool Post(Action message) => _inbox.Writer.TryWrite(message);

    private async Task LoopAsync()
    {
        try
        {
            await foreach (var message in _inbox.Reader.ReadAllAsync())
            {
                message();
                SetAlarm();
                var snapshot = TakeSnapshot();
                if (!Same(snapshot, _feed.Current)) _feed.Publish(snapshot);
            }
        }
        catch (Exception defect)
        {
            _settled.TrySetException(defect);
            throw;
        }
        finally
        {
            Stop();
        }
    }

    private void Stop()
    {
        _inbox.Writer.TryComplete();
        _stopped.TrySetResult();
    }

    private void Begin(HandoffRequest request, TaskCompletionSource<Handoff> answer)
    {
        if (_closing) throw Rules.Closing();
        Rules.CheckRequest(request, _devices, _machines);
        var devices = request.Devices.Distinct().Select(id => _devices[id]).ToImmutableArray();
        if (request.To.Machine is { } machine)
        {
            Rules.CheckGive(request, devices, _machines[machine]);
            Give(devices, _machines[machine], request, answer);
        }
        else
        {
            BringHome(devices, request.Gesture, request.Uid, answer);
        }
    }

    private void Give(
        ImmutableArray<DeviceState> devices, MachineState to, HandoffRequest request, TaskCompletionSource<Handoff>? answer)
    {
        var before = devices.ToImmutableDictionary(device => device.Id, device => device.Desired);
        var limit = request.TimeLimit is { } time ? new TimeLimit(time, _edges.Clock.GetUtcNow() + time) : null;
        foreach (var device in devices) device.Want(new(to.Id) { Limit = limit, Pending = true }, _edges.Clock);
        _writer.Want(Wanted());

        // Decided once, on the loop: a run must not read the loop's state.
        var live = _machines.Values.Where(machine => machine.Lease.IsLive).Select(machine => machine.Id).ToImmutableHashSet();
        var order = new GiveOrder([.. devices.Select(device => device.Device)], to.Id, live, request.Force);
        Start(
            devices, request, answer,
            (run, cancelled) => run.GiveAsync(order, _writer.SaveAsync, cancelled),
            result =>
            {
                foreach (var device in devices.Where(device => device.Desired.Owner == to.Id))
                {
                    if (result.Outcome is Outcome.Done or Outcome.Unchanged)
                    {
                        device.Arrived();
                        continue;
                    }

                    var back = before[device.Id];
                    var wentBack = result.Observed.TryGetValue(device.Id, out var seen) && seen.IsAt(back.Owner);
                    device.Want(wentBack ? back : Desired.Home, _edges.Clock);
                }
            });
    }

    private void BringHome(
        ImmutableArray<DeviceState> devices, string gesture, long uid = -1, TaskCompletionSource<Handoff>? answer = null)
    {
        if (devices.IsEmpty) return;
        var earlier = devices.Where(device => device.Run is not null).ToImmutableDictionary(device => device.Id, device => device.Run!);
        foreach (var run in earlier.Values.Distinct()) run.Cancel(gesture);
        foreach (var device in devices) device.Want(Desired.Home, _edges.Clock);
        Persist();
        Start(
            devices, new(devices.Select(device => device.Id).ToImmutableArray(), Owner.Host, gesture) { Uid = uid }, answer,
            (run, _) => run.BringHomeAsync(
                [.. devices.Select(device => device.Device)],
                id => earlier.TryGetValue(id, out var before) ? before.Ended : Task.CompletedTask),
            _ => { });
    }

    private void Start(
        ImmutableArray<DeviceState> devices, HandoffRequest request, TaskCompletionSource<Handoff>? answer,
        Func<HandoffRun, CancellationToken, Task<RunResult>> act, Action<RunResult> settle)
    {
        var suspects = Suspects(devices);
        var running = new RunningHandoff($"{_epoch}-{++_lastId}", request);
        var from = devices.Select(device => device.Placement.Machine is { } machine ? (Owner)machine : Owner.Host).ToImmutableArray();
        var (started, wall) = (_edges.Clock.GetTimestamp(), _edges.Clock.GetUtcNow());
        var others = devices.Any(device => device.Run is not null);
        foreach (var device in devices) (device.Run, device.Handoffs) = (running, device.Handoffs + 1);
        _ = Task.Run(async () =>
        {
            var result = await FinishAsync(devices, act(new(running.Id, _edges, suspects, OnOverdue), running.Cancelled));

            // A device that came home because its machine died needed no step of ours, but has moved.
            var moved = !others && from.Any(owner => owner != request.To);
            var outcome = result.Outcome == Outcome.Unchanged && moved ? Outcome.Done : result.Outcome;
            var error = outcome is Outcome.Done or Outcome.Unchanged ? null : result.Error ?? running.WhyCancelled;
            var handoff = new Handoff(
                running.Id, request.Gesture, request.Uid, [.. devices.Select(device => device.Id)], from, request.To,
                outcome, error, wall, _edges.Clock.GetElapsedTime(started), result.Steps);
            Post(() => End(running, devices, suspects, result, handoff, settle, answer));
        });
    }

    /// <summary>A defect in a run must not leave its devices "moving" for ever: it ends as a failure, and reconciling looks again.</summary>
    private static async Task<RunResult> FinishAsync(ImmutableArray<DeviceState> devices, Task<RunResult> act)
    {
        try
        {
            return await act;
        }
        catch (Exception defect)
        {
            var error = $"internal error: {defect.Message}";
            return new(
                Outcome.Failed, error, ImmutableDictionary<DeviceId, Observation>.Empty,
                devices.ToImmutableDictionary(device => device.Id, _ => error), []);
        }
    }

    private void End(
        RunningHandoff running, ImmutableArray<DeviceState> devices, ImmutableDictionary<DeviceId, ImmutableHashSet<MachineId>> asked,
        RunResult result, Handoff handoff, Action<RunResult> settle, TaskCompletionSource<Handoff>? answer)
    {
        settle(result);
        foreach (var device in devices.Where(device => device.Run == running)) device.Run = null;
        foreach (var device in devices)
        {
            Saw(device, result.Observed.GetValueOrDefault(device.Id), result.Trouble.GetValueOrDefault(device.Id), asked[device.Id]);
            if (device.IsAstray) device.RetryLater(_edges.Clock, FirstRetry, LongestRetry);
            else device.RetryNever();
        }

        Persist();
        running.End();
        CloseWhenIdle();
        LookIfDue(devices);

        if (!IsNoise(handoff, devices, result)) _edges.Journal.Record(handoff);
        if (answer is null) return;

        // Whoever is told that it is done must find it so in the snapshot.
        _feed.Publish(TakeSnapshot());
        if (handoff.Outcome is Outcome.Done or Outcome.Unchanged) answer.SetResult(handoff);
        else answer.SetException(Rules.Explain(handoff));
    }

    /// <summary>Neither a look that finds all well nor the same vain attempt once more is worth a line in the history.</summary>
    private static bool IsNoise(Handoff handoff, ImmutableArray<DeviceState> devices, RunResult result)
    {
        var told = devices.All(device => device.Recorded == result.Trouble.GetValueOrDefault(device.Id));
        foreach (var device in devices) device.Recorded = result.Trouble.GetValueOrDefault(device.Id);
        return handoff switch
        {
            { Gesture: Gesture.Cli or Gesture.Hotkey } => false,
            { Outcome: Outcome.Unchanged } => true,
            { Outcome: Outcome.Failed, Gesture: Gesture.Reconcile } => told,
            _ => false,
        };
    }

    /// <summary>News of a machine that isn't configured is news of nothing.</summary>
    private void Of(MachineId id, Action<MachineState> act)
    {
        if (_machines.TryGetValue(id, out var machine)) act(machine);
    }

    private void OnMachineUp(MachineState machine)
    {
        machine.Running = true;
        Look();
    }

    private void OnGuestLost(MachineState machine, string gesture)
    {
        machine.Lease.Void();
        if (gesture == Gesture.MachineExit) machine.Running = false;
        BringHome([.. Held(machine.Id)], gesture);
    }

    private IEnumerable<DeviceState> Held(MachineId machine) => Order.Devices
        .Select(device => _devices[device.Id])
        .Where(device => device.Desired.Owner == machine || device.Placement.Machine == machine);

    private void OnAlarm()
    {
        _alarmAt = null;
        foreach (var machine in _machines.Values.Where(machine => machine.Lease.Expire()))
        {
            BringHome(
                [.. Held(machine.Id).Where(device => device.Device.Class != DeviceClass.Storage && device.Expiry is null)], Gesture.Lease);
        }

        BringHome([.. _devices.Values.Where(device => device.Expiry is { } expiry && Left(expiry) <= TimeSpan.Zero)], Gesture.TimeLimit);
        var retries = _devices.Values.Where(device => device.Run is null && device.Retry is { } retry && Left(retry) <= TimeSpan.Zero).ToImmutableArray();
        foreach (var device in retries) device.RetryNow();
        if (!retries.IsEmpty || (_lookAt is { } due && Left(due) <= TimeSpan.Zero)) Look();
    }

    private TimeSpan Left(long timestamp) => _edges.Clock.GetElapsedTime(_edges.Clock.GetTimestamp(), timestamp);

    private void SetAlarm()
    {
        var deadlines = _machines.Values.Select(machine => machine.Lease.Left)
            .Concat(_devices.Values.Select(device => device.Expiry is { } expiry ? Left(expiry) : (TimeSpan?)null))
            .Concat(_devices.Values.Select(device => device.Run is null && device.Retry is { } retry ? Left(retry) : (TimeSpan?)null))
            .Append(_lookAt is { } look ? Left(look) : null);
        // A heartbeat only moves a deadline away: then the alarm stays, and finds nothing due when it rings.
        var now = _edges.Clock.GetTimestamp();
        if (deadlines.Min() is not { } wait || (_alarmAt is { } set && set >= now && _edges.Clock.GetElapsedTime(now, set) <= wait)) return;
        wait = TimeSpan.FromMilliseconds(Math.Clamp(Math.Ceiling(wait.TotalMilliseconds), 1, LongestAlarm.TotalMilliseconds));
        _alarmAt = now + (long)(wait.TotalSeconds * _edges.Clock.TimestampFrequency);
        _alarm.Change(wait, Timeout.InfiniteTimeSpan);
    }

    private ImmutableDictionary<DeviceId, Desired> Wanted() => _devices.Values
        .Where(device => !device.Desired.Owner.IsHost)
        .ToImmutableDictionary(device => device.Id, device => device.Desired);

    /// <summary>
    /// Writes what is wanted, beside the loop: coming home never waits for a disk. Should it fail, the file still names an owner
    /// that a restarted daemon won't find the device at, and so takes for home.
    /// </summary>
    private void Persist()
    {
        _writer.Want(Wanted());
        _writer.SaveLater();
    }

    private Snapshot TakeSnapshot() => new(
        [.. Order.Devices.Select(device => _devices[device.Id].View())],
        [.. Order.Machines.Select(id => new MachineView(id, _machines[id].Running, _machines[id].Lease.IsLive))]);

    private static bool Same(Snapshot a, Snapshot b) => a.Devices.SequenceEqual(b.Devices) && a.Machines.SequenceEqual(b.Machines);
}
