using System.Security;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>The same devices by libvirt, in the same lab and run: its own guest, of the same kernel, while ours is stopped.</summary>
internal sealed class VirshBenchmark(BenchHost host)
{
    private const string Watcher = "/var/lib/libvirt/qemu/lab-watch.sock";
    private static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(5);

    /// <summary>Starts libvirt's daemon and its guest, and returns when the guest's watcher watches.</summary>
    public async Task StartAsync(CancellationToken cancellation)
    {
        await host.EndAsync(cancellation);
        var commandLine = await host.Shell.RunAsync("cat /lab/guest/cmdline", cancellation);
        await host.Shell.RunAsync(
            "cat > /run/lab.xml && systemctl start virtlogd.socket libvirtd.service && virsh -q define /run/lab.xml && virsh -q start lab",
            cancellation, StartDeadline, Domain(commandLine));
        await host.Watch.DoAsync([Command.Connect("guest", Watcher), Command.Guest("\"ready\"")], cancellation);
    }

    /// <summary>Attaches and detaches.</summary>
    /// <param name="source">Makes the XML of the device's source on the host; its address may be another each time.</param>
    /// <param name="type">libvirt's word: usb or pci.</param>
    /// <param name="route">The same device on our route: what shows that it has arrived, and come home.</param>
    public async Task RunAsync(Route route, IReadOnlyList<Leg> legs, string type, Func<Task<string>> source, int rounds, CancellationToken cancellation)
    {
        for (var round = -1; round < rounds; round++)
        {
            var device = $"<hostdev mode='subsystem' type='{type}' managed='yes'><source>{await source()}</source></hostdev>";
            await host.Shell.RunAsync("cat > /run/lab-device.xml", cancellation, input: device);
            await VirshAsync(legs[0], "attach-device", route.SeenThere, route.BehindThere, round >= 0, cancellation);
            await VirshAsync(legs[1], "detach-device", route.SeenHome, route.Left, round >= 0, cancellation);
        }
    }

    private async Task VirshAsync(
        Leg leg, string verb, IReadOnlyList<string> seen, IReadOnlyList<string> after, bool isCounted, CancellationToken cancellation)
    {
        var laps = await host.Watch.DoAsync(
            [Command.Mark, Command.Run("virsh", "-q", verb, "lab", "/run/lab-device.xml", "--live"), .. seen, .. after], cancellation);
        if (!isCounted) return;
        Lap[] timed = [.. laps.Skip(1).Take(1 + seen.Count)];
        leg.Virsh.Add(Lap.Time(timed));
        leg.VirshSeen.Add(Lap.Until(timed[0], timed[^1]));
        leg.VirshBehind.Add(Lap.Until(timed[0], laps[^1]));
    }

    // The guest has what ours has, as far as it matters here: a USB controller, a free root port, two serial ports.
    private static string Domain(string commandLine) => $"""
        <domain type='kvm'>
          <name>lab</name>
          <memory unit='MiB'>512</memory>
          <vcpu>1</vcpu>
          <cpu mode='host-passthrough'/>
          <os>
            <type arch='x86_64' machine='q35'>hvm</type>
            <kernel>/lab/guest/vmlinux</kernel>
            <initrd>/lab/guest/initrd.img</initrd>
            <cmdline>{SecurityElement.Escape(commandLine)}</cmdline>
          </os>
          <features><acpi/><apic/></features>
          <clock offset='localtime'/>
          <devices>
            <emulator>/usr/bin/qemu-system-x86_64</emulator>
            <controller type='usb' model='qemu-xhci' ports='8'/>
            <controller type='pci' index='1' model='pcie-root-port'/>
            <controller type='pci' index='2' model='pcie-root-port'/>
            <controller type='pci' index='3' model='pcie-root-port'/>
            <controller type='pci' index='4' model='pcie-root-port'/>
            <serial type='file'><source path='/var/log/libvirt/qemu/lab-serial.log'/><target port='0'/></serial>
            <serial type='unix'><source mode='bind' path='{Watcher}'/><target port='1'/></serial>
            <memballoon model='none'/>
          </devices>
        </domain>
        """;
}
