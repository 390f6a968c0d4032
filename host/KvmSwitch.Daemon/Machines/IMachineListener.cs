using KvmSwitch.Core;
using KvmSwitch.Linux.Input;

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

    /// <summary>Somebody shows the leds of guests: only then are they asked for.</summary>
    bool WantsLeds => false;

    /// <param name="leds">What the guest's keyboard shows now. Null: not known any more.</param>
    void LedsChanged(MachineId machine, LockLeds? leds)
    {
    }
}
