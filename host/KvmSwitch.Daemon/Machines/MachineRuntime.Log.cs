using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Machines;

/// <content>What is told of it in the log.</content>
internal sealed partial class MachineRuntime
{
    [LoggerMessage(1100, LogLevel.Information, "{Machine}: connected to QEMU {Version}, process {Pid}")]
    private partial void LogConnected(MachineId machine, int pid, Version version);

    [LoggerMessage(1101, LogLevel.Debug, "{Machine}: the QMP session ended: {Reason}")]
    private partial void LogSessionEnded(MachineId machine, string reason);

    [LoggerMessage(1102, LogLevel.Debug, "{Machine}: {Event}")]
    private partial void LogEvent(MachineId machine, string @event);

    [LoggerMessage(1103, LogLevel.Information, "{Machine}: QEMU ended {How}")]
    private partial void LogExited(MachineId machine, string how);

    [LoggerMessage(1105, LogLevel.Warning, "{Machine}: what an earlier daemon left in QEMU stays: {Reason}")]
    private partial void LogNotSwept(MachineId machine, string reason);

    [LoggerMessage(1106, LogLevel.Warning, "{Machine}: the guest does not let go of {Device}; what is done to it: {Means}")]
    private partial void LogPersuading(MachineId machine, DeviceId device, Persuasion means);

    [LoggerMessage(1107, LogLevel.Debug, "{Machine}: the guest's leds aren't told, or not any more: {Reason}")]
    private partial void LogNoLeds(MachineId machine, string reason);

    [LoggerMessage(1108, LogLevel.Warning, "{Machine}: the guest's leds aren't shown any more: {Reason}")]
    private partial void LogBadLeds(MachineId machine, string reason);

    [LoggerMessage(1104, LogLevel.Debug, "{Machine}: no QMP session: {Reason}")]
    private partial void LogNoSession(MachineId machine, string reason);
}
