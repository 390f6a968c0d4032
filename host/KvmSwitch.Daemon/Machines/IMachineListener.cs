using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Machines;

/// <summary>What a machine tells the rest of the daemon. Handlers must be quick.</summary>
internal interface IMachineListener
{
    void MachineUp(MachineId machine);

    /// <param name="gesture">Why, a word of <see cref="Gesture"/>.</param>
    void GuestLost(MachineId machine, string gesture);

    /// <summary>A device of the machine may have come or gone without our doing.</summary>
    void DevicesChanged(MachineId machine);

    void StatusChanged(MachineId machine);

    /// <summary>The guest gives no sign of life, and the host has no keyboard left: what the guest holds matters more than it.</summary>
    bool IsGivenUp(MachineId machine) => false;
}
