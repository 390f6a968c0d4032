namespace KvmSwitch.Daemon.Machines;

/// <summary>What a machine is doing.</summary>
internal enum Power
{
    Off,
    Starting,
    Running,
    Paused,
    Stopping,

    /// <summary>QEMU ended by itself, without the guest having shut down, or the guest panicked.</summary>
    Crashed,
}

/// <summary>A machine at one moment.</summary>
/// <param name="Pid">Process id of QEMU; 0 when it isn't running.</param>
/// <param name="Trouble">One sentence when something is wrong, or null.</param>
internal sealed record MachineStatus(Power Power, int Pid, string? Trouble, Version? QemuVersion)
{
    public static MachineStatus Off { get; } = new(Power.Off, 0, null, null);

    /// <summary>There is a QEMU, whatever it does.</summary>
    public bool HasProcess => Pid != 0;
}
