using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>Where one device was seen.</summary>
/// <param name="Machines">Every machine that holds it; more than one only after outside interference.</param>
public sealed record Observation(HostSight Host, ImmutableHashSet<MachineId> Machines)
{
    /// <summary>Machines whose QEMU still lists it although it was unplugged.</summary>
    public ImmutableHashSet<MachineId> Stale { get; init; } = [];

    /// <summary>A machine holds it, but a part of it has (re)appeared on the host.</summary>
    public bool IsPartial { get; init; }

    public bool IsAt(Owner owner) => owner.Machine is { } machine
        ? Machines.Count == 1 && Machines.Contains(machine) && !IsPartial
        : Machines.IsEmpty && Stale.IsEmpty && Host == HostSight.Served;
}

/// <summary>One device, where it was seen, and who should have it.</summary>
public sealed record Move(Device Device, Observation Observed, Owner Desired);

/// <summary>One thing to do. Each is safe to repeat.</summary>
public abstract record Step(Device Device)
{
    /// <summary>The word in history and logs.</summary>
    public abstract string Name { get; }

    /// <summary>QEMU lets go. Proven by QEMU's list of peripherals.</summary>
    public sealed record Detach(Device Device, MachineId From) : Step(Device)
    {
        public override string Name => "detach";
    }

    /// <summary>QEMU does not let go: the host takes it away. Never planned; follows a detach that failed.</summary>
    public sealed record Wrest(Device Device, MachineId From) : Step(Device)
    {
        public override string Name => "wrest";
    }

    /// <summary>The host's driver serves it again. Proven by sysfs.</summary>
    public sealed record Restore(Device Device) : Step(Device)
    {
        public override string Name => "home";
    }

    /// <summary>QEMU takes it. Proven by QEMU's list of peripherals.</summary>
    public sealed record Attach(Device Device, MachineId To) : Step(Device)
    {
        public override string Name => "attach";

        /// <summary>QEMU was seen not to list it, so nothing that an earlier attempt left behind has to go first.</summary>
        public bool IsUnlisted { get; init; }
    }

    /// <summary>The guest has seen it. Proven by its agent.</summary>
    public sealed record Confirm(Device Device, MachineId To) : Step(Device)
    {
        public override string Name => "confirm";
    }
}

/// <summary>Turns what is and what should be into steps. Pure.</summary>
public static class Planner
{
    /// <summary>
    /// The steps, in phases: first everything is detached, then brought home, then attached, then confirmed; within a phase in the
    /// order of <paramref name="moves"/>. Empty when all is as it should be.
    /// </summary>
    /// <param name="confirms">Whether this machine's agent can confirm the arrival of this device now.</param>
    public static ImmutableArray<Step> Plan(IReadOnlyCollection<Move> moves, Func<Device, MachineId, bool> confirms) =>
    [
        .. moves.SelectMany(Detaches),
        .. moves.Where(NeedsRestore).Select(move => new Step.Restore(move.Device)),
        .. moves.Where(NeedsAttach).Select(move => new Step.Attach(move.Device, move.Desired.Machine!.Value) { IsUnlisted = IsUnlisted(move) }),
        .. moves.Where(move => NeedsAttach(move) && confirms(move.Device, move.Desired.Machine!.Value))
            .Select(move => new Step.Confirm(move.Device, move.Desired.Machine!.Value)),
    ];

    /// <summary>What takes back a step that was begun, whether or not it finished. Home is the end of every way back.</summary>
    /// <param name="returnsTo">Whether a device may go back to this machine: it runs, and its lease is alive.</param>
    public static ImmutableArray<Step> Undo(Step step, Func<MachineId, bool> returnsTo) => step switch
    {
        Step.Attach attach => [new Step.Detach(attach.Device, attach.To), new Step.Restore(attach.Device)],
        Step.Detach detach when returnsTo(detach.From) => [new Step.Attach(detach.Device, detach.From)],

        // It may not have let go: a device that a machine holds can't be brought home.
        Step.Detach detach => [detach, new Step.Restore(detach.Device)],
        _ => [],
    };

    private static IEnumerable<Step> Detaches(Move move) => move.Observed.Machines.Union(move.Observed.Stale)
        .Where(machine => move.Desired != machine)
        .OrderBy(machine => machine.Value, StringComparer.Ordinal)
        .Select(machine => new Step.Detach(move.Device, machine));

    private static bool NeedsRestore(Move move) =>
        !IsThere(move) && (Detaches(move).Any() || (move.Observed.Machines.IsEmpty && move.Observed.Host == HostSight.Unserved));

    private static bool NeedsAttach(Move move) => !move.Desired.IsHost && (!IsThere(move) || move.Observed.IsPartial);

    private static bool IsUnlisted(Move move) => !move.Observed.Machines.Union(move.Observed.Stale).Contains(move.Desired.Machine!.Value);

    /// <summary>The machine that should have it has it, if perhaps not alone: it must not be pulled from there.</summary>
    private static bool IsThere(Move move) => move.Desired.Machine is { } machine && move.Observed.Machines.Contains(machine);
}
