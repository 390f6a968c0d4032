using KvmSwitch.Qmp;

namespace KvmSwitch.Demo.Harness;

/// <summary>The configuration of the demo: one small Linux guest, and devices that exist in QEMU alone.</summary>
internal static class DemoConfiguration
{
    /// <summary>Runs QEMU where the daemon is root.</summary>
    public const string QemuUser = "nobody";

    /// <summary>The hotkey that the guest watches, in QEMU's names of keys.</summary>
    public static readonly string[] ReturnKeys = ["ctrl", "alt", "shift", "h"];

    /// <param name="directory">Absolute; has the guest's files in it.</param>
    /// <param name="port">Free port of the loopback address.</param>
    public static async Task<string> RenderAsync(string directory, int port, CancellationToken cancellation)
    {
        var commandLine = await File.ReadAllTextAsync(Path.Combine(directory, "cmdline"), cancellation);
        var accelerator = await KvmWorksAsync(cancellation) ? "kvm" : "tcg";
        return $$"""
            # The demo of KvmSwitch: a guest that needs no special hardware.
            [daemon]
            listen = ["127.0.0.1:{{port}}"]
            advertise = ["10.0.2.2:{{port}}"]   # the loopback address of the host, as QEMU's user network shows it to the guest
            qemu_user = "{{QemuUser}}"
            guest_tools = "{{directory}}/guest-tools"

            [machine.demo]
            accelerator = "{{accelerator}}"
            firmware = "bios"
            memory = "384M"
            cpus = 1
            kernel = "{{directory}}/vmlinux"
            initrd = "{{directory}}/initrd.img"
            append = "{{commandLine.Trim()}}"
            disks = [{ file = "{{directory}}/state.img", cache = "writeback" }]
            extra_serial = ["watch"]
            extra_arguments = ["-qmp", "unix:{{directory}}/run/machines/demo/tools.sock,server=on,wait=off"]
            shutdown_timeout = "20s"

            [guest.demo]
            may_request = ["mouse"]

            [device.keyboard]
            route = "virtual"
            driver = "usb-kbd"

            [device.mouse]
            route = "virtual"
            driver = "usb-mouse"

            [device.tablet]
            route = "virtual"
            driver = "usb-tablet"

            [device.drive]
            route = "virtual"
            driver = "usb-kbd"
            class = "storage"

            [set.desk]
            devices = ["keyboard", "mouse"]

            [[hotkey]]
            where = "guest"
            chord = "{{string.Join('+', ReturnKeys)}}"
            action = "return"
            """;
    }

    /// <summary>The device node proves nothing: only an attempt does.</summary>
    private static async Task<bool> KvmWorksAsync(CancellationToken cancellation)
    {
        if (!File.Exists("/dev/kvm")) return false;
        var socket = Path.Combine(Path.GetTempPath(), $"kvmswitch-probe-{Environment.ProcessId}.sock");
        await using var probe = ChildProcess.Start("qemu-system-x86_64",
            ["-accel", "kvm", "-machine", "none", "-nodefaults", "-display", "none", "-qmp", $"unix:{socket},server=on,wait=off"]);
        try
        {
            await Condition.HoldsAsync(() => probe.HasExited || File.Exists(socket), "QEMU tries KVM", TimeSpan.FromSeconds(10), cancellation);
            if (probe.HasExited) return false;
            await using var client = await QmpClient.ConnectAsync(socket, cancellationToken: cancellation);
            return true;
        }
        catch (QmpConnectException)
        {
            return false;
        }
        finally
        {
            File.Delete(socket);
        }
    }
}
