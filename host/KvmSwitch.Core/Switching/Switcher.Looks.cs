using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <content>Looking where everything is, and setting right what isn't where it should be.</content>
public sealed partial class Switcher
{
    /// <summary>
    /// A handoff sets off events by the dozen, and looks for itself: what they call for waits until it is over, or for so long.
    /// </summary>
    private static readonly TimeSpan LookWithin = TimeSpan.FromMilliseconds(500);

    /// <summary>Monotonic timestamp at which everything is to be looked at, whatever still moves.</summary>
    private long? _lookAt;

    private void Adopt(DeviceId id, Desired desired)
    {
        // A device or machine that the configuration no longer names can't be given to anybody: host is home.
        if (!_devices.TryGetValue(id, out var device)) return;
        if (desired.Owner.Machine is { } machine && !_machines.ContainsKey(machine)) return;
        device.Want(desired, _edges.Clock);
        if (desired.Pending)
        {
            device.Want(Desired.Home, _edges.Clock);

            // Who had it before the handoff isn't written down: it may be anywhere.
            foreach (var any in _machines.Keys) device.Suspect(any);
        }
        else if (desired.Owner.Machine is { } awaited && desired.Limit is null) _machines[awaited].Lease.Await();
    }

    /// <summary>The machines that may hold each device, as far as is known.</summary>
    private static ImmutableDictionary<DeviceId, ImmutableHashSet<MachineId>> Suspects(ImmutableArray<DeviceState> devices) =>
        devices.ToImmutableDictionary(device => device.Id, device => device.Suspects);

    /// <summary>Takes note of where a device is.</summary>
    private void Saw(DeviceState device, Observation? observation, string? trouble, ImmutableHashSet<MachineId> asked)
    {
        if (device.Run is null && observation is not null && device.Desired.Owner.Machine is { } owner && !observation.IsAt(owner))
        {
            if (IsUnplugged(observation)) device.IsAwaited = true;

            // It left the machine by other hands, is in two, or a crash cut its handoff short: it is nobody's but the host's.
            else if (!IsBack(device, observation, owner)) device.Want(Desired.Home, _edges.Clock);
        }

        device.Saw(observation, trouble, asked);
    }

    private static bool IsUnplugged(Observation observation) => observation is { Host: HostSight.Absent, Machines.IsEmpty: true };

    /// <summary>It was unplugged while the machine owned it, is here again, and may go back there.</summary>
    private bool IsBack(DeviceState device, Observation observation, MachineId owner) =>
        (device.IsAwaited || observation.Stale.Contains(owner) || (observation.IsPartial && observation.Machines.Contains(owner)))
        && observation.Machines.All(machine => machine == owner)
        && _machines[owner] is { Running: true } machine && (machine.Lease.IsLive || device.Desired.Limit is not null);

    /// <summary>Gives a device that is here again back to the machine that owned it.</summary>
    private void GiveBack(DeviceState device)
    {
        var (owner, limit) = (device.Desired.Owner, device.Desired.Limit);
        var request = new HandoffRequest([device.Id], owner, Gesture.Replug) { TimeLimit = limit?.Remaining(_edges.Clock.GetUtcNow()) };
        Give([device], _machines[owner.Machine!.Value], request, answer: null);
    }

    private void OnPluggedIn(DeviceState device)
    {
        var now = _edges.Clock.GetTimestamp();
        var again = device.PluggedIn is { } before && _edges.Clock.GetElapsedTime(before, now) <= Order.RescueWithin;
        device.PluggedIn = now;
        if (again && !device.Desired.Owner.IsHost)
        {
            device.PluggedIn = null;
            BringHome([device], Gesture.Rescue);
        }

        Look();
    }

    /// <summary>A step runs on after it was given up on: until it ends, the device goes nowhere; then its effect, if any, wants a look.</summary>
    private void OnOverdue(Step step, Task acting)
    {
        var device = _devices[step.Device.Id];
        Post(() => device.OverdueSteps++);
        _ = acting.ContinueWith(
            _ => Post(() =>
            {
                device.OverdueSteps--;

                // It may have arrived there after all: until that machine was asked, no other gets it.
                if (step is Step.Attach attach) device.Suspect(attach.To);
                Look();
            }),
            CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private bool IsAtRest => _devices.Values.All(device => device.Run is null);

    private void LookSoon()
    {
        if (IsAtRest) Look();
        else _lookAt ??= _edges.Clock.GetTimestamp() + (long)(LookWithin.TotalSeconds * _edges.Clock.TimestampFrequency);
    }

    private void Look()
    {
        _lookAt = null;
        foreach (var device in _devices.Values) device.Stale = device.Looking || device.Run is not null;
        var idle = _devices.Values.Where(device => device.Run is null && !device.Looking).ToImmutableArray();
        foreach (var device in idle) device.Looking = true;
        var suspects = Suspects(idle);
        var handoffs = idle.Select(device => device.Handoffs).ToImmutableArray();
        var observer = new Observer(_edges, suspects);
        _ = Task.Run(async () =>
        {
            var looks = await observer.LookEverywhereAsync([.. idle.Select(device => device.Device)]);
            Post(() => Looked(idle, handoffs, suspects, looks));
        });
    }

    private void Looked(
        ImmutableArray<DeviceState> devices, ImmutableArray<long> handoffs, ImmutableDictionary<DeviceId, ImmutableHashSet<MachineId>> asked,
        ImmutableArray<Look> looks)
    {
        var astray = new List<DeviceState>();
        foreach (var (device, (observation, trouble), handoff) in devices.Zip(looks, handoffs))
        {
            device.Looking = false;

            // It was moved meanwhile: what was seen is of yesterday.
            if (device.Handoffs != handoff) continue;
            Saw(device, observation, trouble, asked[device.Id]);
            if (!device.IsAstray) device.RetryNever();
            else if (device.Desired.Owner.IsHost) astray.Add(device);
            else if (observation is not null && trouble is null && device.Run is null) GiveBack(device);
            else device.RetryLater(_edges.Clock, FirstRetry, LongestRetry);
        }

        BringHome([.. astray], Gesture.Reconcile);
        Persist();
        _settled.TrySetResult();
        LookIfDue(devices);
    }

    /// <summary>Somebody called for a look while it could not be given.</summary>
    private void LookIfDue(ImmutableArray<DeviceState> devices)
    {
        if ((_lookAt is not null && IsAtRest) || devices.Any(device => device is { Stale: true, Run: null, Looking: false })) Look();
    }
}
