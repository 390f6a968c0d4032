using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <content>Looking where everything is, and setting right what isn't where it should be.</content>
public sealed partial class Switcher
{
    /// <summary>Takes note of where a device is.</summary>
    private void Saw(DeviceState device, Observation? observation, string? trouble, ImmutableHashSet<MachineId> asked)
    {
        // It left the machine by other hands, is in two, or a crash cut its handoff short: it is nobody's but the host's.
        if (device.Run is null && observation is not null && !device.Desired.Owner.IsHost && !observation.IsAt(device.Desired.Owner))
        {
            device.Want(Desired.Home, _edges.Clock);
        }

        device.Saw(observation, trouble, asked);
    }

    private void Look()
    {
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
            else device.RetryLater(_edges.Clock, FirstRetry, LongestRetry);
        }

        BringHome([.. astray], Gesture.Reconcile);
        Persist();
        _settled.TrySetResult();
        LookIfStale(devices);
    }

    /// <summary>Somebody called for a look while it could not be given.</summary>
    private void LookIfStale(ImmutableArray<DeviceState> devices)
    {
        if (devices.Any(device => device is { Stale: true, Run: null, Looking: false })) Look();
    }
}
