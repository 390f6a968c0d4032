using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Proto.V1;
using Outcome = KvmSwitch.Core.Outcome;
using Wire = KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Control;

/// <summary>The daemon's values in the words of the contract. Pure.</summary>
internal static class StateMessages
{
    public static Wire.Device Of(DeviceView view)
    {
        var message = new Wire.Device
        {
            Name = view.Device.Id.Value,
            Label = view.Device.Label,
            Route = view.Device.Route.Word,
            Class = WordOf(view.Device.Class),
            Owner = view.Owner.ToString(),
            Placement = view.Handoff is null ? WordOf(view.Placement) : "moving",
            Handoff = view.Handoff ?? "",
            Trouble = view.Trouble ?? "",
            Detail = view.Device.Route.Detail,
        };
        if (view.Until is { } until) message.Until = until.ToTimestamp();
        return message;
    }

    public static Wire.DeviceSet Of(Core.DeviceSet set)
    {
        var message = new Wire.DeviceSet { Name = set.Id.Value };
        message.Devices.AddRange(set.Devices.Select(id => id.Value));
        return message;
    }

    public static Machine Of(MachineOptions options, MachineStatus status, bool agentLive, AgentInfo? agent) => new()
    {
        Name = options.Id.Value,
        Kind = options is ManagedMachine ? Machine.Types.Kind.Managed : Machine.Types.Kind.External,
        Power = status.Power switch
        {
            Power.Off => Machine.Types.Power.Off,
            Power.Starting => Machine.Types.Power.Starting,
            Power.Running => Machine.Types.Power.Running,
            Power.Paused => Machine.Types.Power.Paused,
            Power.Stopping => Machine.Types.Power.Stopping,
            _ => Machine.Types.Power.Crashed,
        },
        Pid = status.Pid,
        AgentLive = agentLive,
        AgentVersion = agent?.Version ?? "",
        Trouble = status.Trouble ?? "",
        QemuVersion = status.QemuVersion?.ToString() ?? "",
    };

    public static Wire.Handoff Of(Core.Handoff handoff)
    {
        var message = new Wire.Handoff
        {
            Id = handoff.Id,
            Gesture = handoff.Gesture,
            To = handoff.To.ToString(),
            Outcome = WordOf(handoff.Outcome),
            Error = handoff.Error ?? "",
            Started = handoff.Started.ToTimestamp(),
            DurationMs = handoff.Duration.TotalMilliseconds,
            Uid = handoff.Uid,
        };
        message.Devices.AddRange(handoff.Devices.Select(id => id.Value));
        message.From.AddRange(handoff.From.Select(owner => owner.ToString()));
        message.Steps.AddRange(handoff.Steps.Select(step => new Wire.Handoff.Types.Step
        {
            Name = step.Name,
            Device = step.Device.Value,
            StartMs = step.Start.TotalMilliseconds,
            DurationMs = step.Duration.TotalMilliseconds,
            Error = step.Error ?? "",
        }));
        return message;
    }

    private static string WordOf(DeviceClass value) => value switch
    {
        DeviceClass.Hid => "hid",
        DeviceClass.Audio => "audio",
        DeviceClass.Storage => "storage",
        _ => "other",
    };

    private static string WordOf(Placement placement) => placement.Where switch
    {
        Whereabouts.Machine => placement.Machine!.Value.Value,
        Whereabouts.Host => "host",
        Whereabouts.Absent => "absent",
        Whereabouts.Unserved => "unserved",
        _ => "unknown",
    };

    private static string WordOf(Outcome outcome) => outcome switch
    {
        Outcome.Done => "done",
        Outcome.Unchanged => "unchanged",
        Outcome.RolledBack => "rolled-back",
        Outcome.TimedOut => "timed-out",
        Outcome.Refused => "refused",
        _ => "failed",
    };
}
