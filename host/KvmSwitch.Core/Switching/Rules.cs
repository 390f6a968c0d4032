using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What may be asked of the Switcher, and how it says no.</summary>
internal static class Rules
{
    /// <exception cref="SwitchException">Refused; nothing was changed.</exception>
    public static void CheckGive(HandoffRequest request, ImmutableArray<DeviceState> devices, MachineState to)
    {
        if (!to.Running) throw Refuse($"{to.Id} is not running; start it with 'kvmswitch vm start {to.Id}'");
        if (devices.FirstOrDefault(device => device.Run is not null) is { } busy)
        {
            throw Refuse($"{busy.Id} is being moved to {busy.Run!.To} just now (handoff {busy.Run.Id}); wait for it, or bring it " +
                $"home with 'kvmswitch take {busy.Id}'");
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
            _ => $"everything is back where it was ({names})",
        };
        return new(
            handoff.Outcome == Outcome.TimedOut ? Failure.TimedOut : Failure.Failed,
            $"{handoff.Error ?? "the handoff failed"}; {end}");
    }

    public static SwitchException Closing() => Refuse("the daemon is shutting down; try again when it is back");

    private static bool NeedsAgent(DeviceState device) => device.Device.Class == DeviceClass.Hid;

    private static SwitchException Refuse(string message) => new(Failure.Refused, message);
}
