using System.Globalization;
using KvmSwitch.Qmp;
using KvmSwitch.SystemTests.Lab;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>The lab that tests/lab/lab.sh has booted, with the benchmark's configuration, a guest that is paired, and a stopwatch in its host.</summary>
internal sealed class BenchHost : IAsyncDisposable
{
    /// <summary>The link by which the configuration knows the typist's keyboard.</summary>
    public const string TypistLink = "lab-typist";

    private const string Sockets = "/run/kvmswitch/machines/win";
    private const int Stop = 19, Continue = 18;
    private static readonly TimeSpan BootDeadline = TimeSpan.FromMinutes(10);

    // Beside them, the machine's own section of the scenarios' configuration is used.
    private const string Devices = """
        [device.mouse]
        route = "usb"
        class = "hid"
        serial = "MOUSE1"

        [device.left]
        route = "usb"
        class = "hid"
        port = "{desk:1}"

        [device.card]
        route = "controller"
        functions = ["03:00.0"]

        [device.disc]
        route = "optical"
        drive = "scsi-0QEMU_QEMU_CD-ROM_DRIVE1"

        [device.typing]
        route = "input"
        link = "lab-typist"

        """;

    private readonly QmpClient _outer;

    private BenchHost(LabShell shell, LabHardware hardware, QmpClient outer) => (Shell, Hardware, _outer) = (shell, hardware, outer);

    public LabShell Shell { get; }

    public LabHardware Hardware { get; }

    public LabStopwatch Watch { get; private set; } = null!;

    public int QemuPid { get; private set; }

    public int QemuUser { get; private set; }

    public int QemuGroup { get; private set; }

    private int DaemonPid { get; set; }

    /// <param name="root">Of the checkout whose lab runs.</param>
    public static async Task<BenchHost> ConnectAsync(string root, CancellationToken cancellation)
    {
        var directory = new FileInfo(Path.Combine(root, "artifacts/lab/run")).LinkTarget;
        if (directory is null || !File.Exists(Path.Combine(directory, "port"))) throw new InvalidOperationException("no lab runs: start it with 'tests/lab/lab.sh up'");
        var port = int.Parse((await File.ReadAllTextAsync(Path.Combine(directory, "port"), cancellation)).Trim(), CultureInfo.InvariantCulture);
        var outer = await QmpClient.ConnectAsync(Path.Combine(directory, "qmp.sock"), cancellationToken: cancellation);
        var host = new BenchHost(new(port), new(outer, Path.Combine(root, "tests/lab/hardware"), directory), outer);
        try
        {
            await host.StartAsync(await File.ReadAllTextAsync(Path.Combine(root, "tests/lab/kvmswitch.toml.in"), cancellation), cancellation);
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>The host's name of a controller's port, as <c>desk:1</c>.</summary>
    public Task<string> PortAsync(string place, CancellationToken cancellation) => Shell.RunAsync("lab-configure", cancellation, input: $"{{{place}}}\n");

    /// <summary>Does something by hand while the daemon is held still, so that neither is in the other's way.</summary>
    public async Task WithoutDaemonAsync(Func<Task> act, CancellationToken cancellation)
    {
        await Watch.DoAsync([Command.Signal(DaemonPid, Stop)], cancellation);
        try
        {
            await act();
        }
        finally
        {
            await Watch.DoAsync([Command.Signal(DaemonPid, Continue)], cancellation);
        }
    }

    /// <summary>
    /// Returns once udev has done what the move before set off, and the daemon, which may have been held still meanwhile, has caught up with it:
    /// a handoff is measured from rest, whoever does it.
    /// </summary>
    public Task RestAsync(CancellationToken cancellation) => Shell.RunAsync(
        $$"""
        udevadm settle --timeout=20 || { echo 'udev does not come to rest' >&2; exit 1; }
        for look in $(seq 50); do
          now=$(cut -d' ' -f14,15 /proc/{{DaemonPid}}/stat)
          if [ "$now" = "${last-}" ]; then exit 0; fi
          last=$now
          sleep 0.3
        done
        echo 'the daemon does not come to rest' >&2
        exit 1
        """,
        cancellation);

    /// <summary>Returns once the daemon has seen the device at home.</summary>
    public async Task WaitForHomeAsync(string device, CancellationToken cancellation)
    {
        for (var attempt = 0; attempt < 100; attempt++)
        {
            var status = (await Watch.DoAsync([Command.Run("kvmswitch", "status", "--json")], cancellation))[0].Json;
            var seen = status["devices"]!.AsArray().Single(entry => (string?)entry!["name"] == device)!;
            if ((string?)seen["placement"] == "host") return;
        }

        throw new TimeoutException($"the daemon does not see that {device} is at home");
    }

    /// <summary>Ends our guest and our daemon, so that another program may have the devices.</summary>
    public Task EndAsync(CancellationToken cancellation) =>
        Shell.RunAsync("kvmswitch vm stop win >/dev/null || kvmswitch vm kill win >/dev/null; systemctl stop kvmswitchd", cancellation);

    public async ValueTask DisposeAsync()
    {
        if (Watch is not null) await Watch.DisposeAsync();
        await _outer.DisposeAsync();
    }

    private async Task StartAsync(string standard, CancellationToken cancellation)
    {
        await Hardware.PlugAllAsync(cancellation);
        await Hardware.DiscAsync(1, cancellation);
        var configuration = standard[..standard.IndexOf("[device.", StringComparison.Ordinal)] + Devices;
        await Shell.RunAsync("cat > /lab/kvmswitch.toml.in && lab-guest", cancellation, BootDeadline, configuration);
        Watch = await LabStopwatch.StartAsync(Shell, cancellation);
        await Watch.DoAsync([Command.Connect("qmp", $"{Sockets}/tools.sock"), Command.Connect("guest", $"{Sockets}/watch.sock")], cancellation);
        var numbers = await Shell.RunAsync(
            $"cat {Sockets}/qemu.pid; id -u kvmswitch-qemu; id -g kvmswitch-qemu; systemctl show --property=MainPID --value kvmswitchd", cancellation);
        var values = numbers.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => int.Parse(line, CultureInfo.InvariantCulture)).ToArray();
        (QemuPid, QemuUser, QemuGroup, DaemonPid) = (values[0], values[1], values[2], values[3]);
    }
}
