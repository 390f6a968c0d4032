using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>Where a device was last observed.</summary>
public enum Whereabouts
{
    /// <summary>Not observed yet, or the last look failed.</summary>
    Unknown,
    Host,
    Machine,

    /// <summary>Nowhere to be seen: unplugged.</summary>
    Absent,

    /// <summary>On the host, but no driver serves it.</summary>
    Unserved,
}

/// <summary>Where a device was last observed, and in which machine.</summary>
public readonly record struct Placement(Whereabouts Where, MachineId? Machine = null)
{
    public static Placement Of(Observation observation) => observation switch
    {
        { Machines.IsEmpty: false } => new(Whereabouts.Machine, observation.Machines.Min(Comparer<MachineId>.Create(ByName))),
        { Host: HostSight.Served } => new(Whereabouts.Host),
        { Host: HostSight.Unserved } => new(Whereabouts.Unserved),
        _ => new(Whereabouts.Absent),
    };

    public bool IsAt(Owner owner) => owner.Machine is { } machine ? Machine == machine : Where == Whereabouts.Host;

    private static int ByName(MachineId a, MachineId b) => string.CompareOrdinal(a.Value, b.Value);
}

/// <summary>One device in a snapshot.</summary>
/// <param name="Handoff">The handoff under way, or null.</param>
/// <param name="Trouble">Why it isn't where it should be, one sentence, or null.</param>
public sealed record DeviceView(
    Device Device, Owner Owner, Placement Placement, string? Handoff, DateTimeOffset? Until, string? Trouble);

/// <summary>One machine in a snapshot, as switching sees it.</summary>
public sealed record MachineView(MachineId Id, bool Running, bool AgentLive);

/// <summary>The switching state at one moment. Immutable.</summary>
public sealed record Snapshot(ImmutableArray<DeviceView> Devices, ImmutableArray<MachineView> Machines)
{
    public DeviceView? Find(DeviceId id) => Devices.FirstOrDefault(view => view.Device.Id == id);

    public MachineView? Find(MachineId id) => Machines.FirstOrDefault(view => view.Id == id);
}
