using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What may be asked of the Switcher, and how it says no.</summary>
internal static class Rules
{
    private static readonly TimeSpan LongestLimit = TimeSpan.FromDays(3650);

    /// <exception cref="SwitchException">The request makes no sense here; nothing was changed.</exception>
    public static void CheckRequest(
        HandoffRequest request, ImmutableDictionary<DeviceId, DeviceState> devices, ImmutableDictionary<MachineId, MachineState> machines)
    {
        if (request.Devices.IsDefaultOrEmpty) throw Misuse("nothing is named; name a device or a set");
        foreach (var id in request.Devices.Where(id => !devices.ContainsKey(id)))
            throw Misuse($"there is no device '{id}'; 'kvmswitch status' lists them");
        if (request.To.Machine is { } machine && !machines.ContainsKey(machine))
            throw Misuse($"there is no machine '{machine}'; 'kvmswitch vm list' lists them");
        if (request.TimeLimit is { } time && (time <= TimeSpan.Zero || time > LongestLimit))
            throw Misuse($"a time limit lies between a moment and {LongestLimit.TotalDays:0} days");
    }

    /// <exception cref="SwitchException">Refused; nothing was changed.</exception>
    public static void CheckGive(HandoffRequest request, ImmutableArray<DeviceState> devices, MachineState to)
    {
        if (!to.Running) throw Refuse($"{to.Id} is not running; start it with 'kvmswitch vm start {to.Id}'");
        if (devices.FirstOrDefault(device => device.Run is not null) is { } busy)
        {
            throw Refuse($"{busy.Id} is being moved to {busy.Run!.To} just now (handoff {busy.Run.Id}); wait for it, or bring it " +
                $"home with 'kvmswitch take {busy.Id}'");
        }

        if (devices.FirstOrDefault(device => device.OverdueSteps > 0) is { } unsure)
        {
            throw Refuse($"an earlier step of {unsure.Id} was given up on and has not ended yet, so nobody knows what it will still do; " +
                "try again in a moment");
        }

        if (request.TimeLimit is null && !to.Lease.IsLive && devices.FirstOrDefault(NeedsAgent) is { } stranded)
        {
            throw Refuse($"no agent is live in {to.Id}, so {stranded.Id} could not come back by itself; for firmware and boot menus " +
                $"give it for a limited time: 'kvmswitch give {stranded.Id} --for 2m'");
        }
    }

    /// <summary>The exception that tells the requester why a handoff did not succeed.</summary>
    public static SwitchException Explain(Handoff handoff)
    {
        var names = string.Join(", ", handoff.Devices);
        var end = handoff.Outcome switch
        {
            Outcome.Failed => "not everything is where it should be yet, and is being brought home",
            Outcome.Refused => "everything is where it was",
            _ => $"everything is back where it was, or home ({names})",
        };
        var failure = handoff.Outcome switch
        {
            Outcome.TimedOut => Failure.TimedOut,
            Outcome.Refused => Failure.Refused,
            _ => Failure.Failed,
        };
        return new(failure, $"{handoff.Error ?? "the handoff failed"}; {end}");
    }

    public static SwitchException Closing() => Refuse("the daemon is shutting down; try again when it is back");

    private static bool NeedsAgent(DeviceState device) => device.Device.Class == DeviceClass.Hid;

    private static SwitchException Misuse(string message) => new(Failure.Usage, message);

    private static SwitchException Refuse(string message) => new(Failure.Refused, message);
}
