using System.Diagnostics;
using KvmSwitch.Qmp;

namespace KvmSwitch.SystemTests.Qmp;

/// <summary>A child QEMU of the shape that <see cref="KvmSwitch.Testing.Qmp.QmpScenarios"/> asks for.</summary>
internal sealed class RealQemu : IAsyncDisposable
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _directory;

    private RealQemu(DirectoryInfo directory, Process process)
    {
        _directory = directory;
        Process = process;
    }

    internal Process Process { get; }

    internal string SocketPath => Path.Combine(_directory.FullName, "qmp.sock");

    internal static async Task<RealQemu> StartAsync()
    {
        var directory = Directory.CreateTempSubdirectory("kvmswitch-qmp-");
        string[] arguments =
        [
            "-M", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none", "-S",
            "-device", "qemu-xhci,id=xhci", "-device", "pcie-root-port,id=rp1,chassis=1",
            "-qmp", $"unix:{Path.Combine(directory.FullName, "qmp.sock")},server=on,wait=off",
        ];
        var start = new ProcessStartInfo("qemu-system-x86_64", arguments) { RedirectStandardError = true, UseShellExecute = false };
        var qemu = new RealQemu(directory, Process.Start(start)!);
        try
        {
            await qemu.WaitUntilItListensAsync();
            return qemu;
        }
        catch
        {
            await qemu.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!Process.HasExited)
        {
            Process.Kill();
        }

        await Process.WaitForExitAsync();
        Process.Dispose();
        _directory.Delete(recursive: true);
    }

    private async Task WaitUntilItListensAsync()
    {
        using var late = new CancellationTokenSource(_patience);
        using var clock = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await ListensAsync())
        {
            if (Process.HasExited)
            {
                throw new InvalidOperationException($"QEMU ended at its start: {await Process.StandardError.ReadToEndAsync()}");
            }

            await clock.WaitForNextTickAsync(late.Token);
        }
    }

    // The file is there before the socket listens, so only a session tells.
    private async Task<bool> ListensAsync()
    {
        try
        {
            await using var client = await QmpClient.ConnectAsync(SocketPath);
            return true;
        }
        catch (QmpConnectException)
        {
            return false;
        }
    }
}
