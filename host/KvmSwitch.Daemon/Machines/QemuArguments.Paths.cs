using System.Text;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Machines;

/// <summary>Where one machine's files are.</summary>
/// <param name="RuntimeDirectory">Of this machine alone; gone after a reboot. Sockets and the pid file.</param>
/// <param name="StateDirectory">Of this machine alone; kept. Firmware variables and the serial log.</param>
public sealed record MachinePaths(string RuntimeDirectory, string StateDirectory)
{
    /// <summary>What fits in sockaddr_un beside the final zero (unix(7)), bytes.</summary>
    public const int MaxSocketPath = 107;

    public string QmpSocket => Runtime("qmp.sock");

    /// <summary>First serial port.</summary>
    public string ConsoleSocket => Runtime("console.sock");

    public string VncSocket => Runtime("vnc.sock");

    public string PidFile => Runtime("qemu.pid");

    /// <summary>What QEMU itself wrote since its start.</summary>
    public string QemuLog => Path.Combine(StateDirectory, "qemu.log");

    /// <summary>What the guest wrote to its first serial port since QEMU started.</summary>
    public string SerialLog => Path.Combine(StateDirectory, "serial.log");

    /// <summary>This machine's own UEFI variables: a copy of <see cref="Configuration.FirmwareFiles.Variables"/>, made once.</summary>
    public string FirmwareVariables => Path.Combine(StateDirectory, "uefi-variables");

    /// <summary>The machine's own directories below the daemon's.</summary>
    public static MachinePaths Below(string runtimeRoot, string stateRoot, MachineId machine) =>
        new(Path.Combine(runtimeRoot, machine.Value), Path.Combine(stateRoot, machine.Value));

    /// <summary>Socket of a serial port that the configuration names in extra_serial.</summary>
    public string SerialSocket(string name) => Runtime($"{name}.sock");

    /// <exception cref="SwitchException">The path is too long for a Unix socket.</exception>
    internal static string CheckSocket(string path) => Encoding.UTF8.GetByteCount(path) <= MaxSocketPath
        ? path
        : throw new SwitchException(
            Failure.Failed,
            $"The socket path {path} is longer than the {MaxSocketPath} bytes that Linux allows; use a shorter runtime directory or name.");

    private string Runtime(string file) => Path.Combine(RuntimeDirectory, file);
}
