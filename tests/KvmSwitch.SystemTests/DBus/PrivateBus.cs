using System.Diagnostics;

namespace KvmSwitch.SystemTests.DBus;

/// <summary>A dbus-daemon of our own, which nobody else is on.</summary>
internal sealed class PrivateBus : IDisposable
{
    private readonly DirectoryInfo _directory;

    private PrivateBus(DirectoryInfo directory, Process process, string address) => (_directory, Process, Address) = (directory, process, address);

    public Process Process { get; }

    public string Address { get; }

    public static async Task<PrivateBus> StartAsync()
    {
        var directory = Directory.CreateTempSubdirectory("kvmswitch-bus-");
        string[] arguments = ["--session", "--nofork", "--print-address", $"--address=unix:path={directory.FullName}/bus"];
        var process = Process.Start(new ProcessStartInfo("dbus-daemon", arguments) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var address = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(20));
        return new(directory, process, address ?? throw new InvalidOperationException("dbus-daemon ended at its start"));
    }

    public void Dispose()
    {
        if (!Process.HasExited) Process.Kill();
        Process.WaitForExit();
        Process.Dispose();
        _directory.Delete(recursive: true);
    }
}
