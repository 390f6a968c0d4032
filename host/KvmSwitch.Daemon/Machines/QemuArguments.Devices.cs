using System.Net.NetworkInformation;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon.Machines;

public static partial class QemuArguments
{
    private static IEnumerable<string> SerialPorts(Input input)
    {
        var index = 0;
        if (input.Machine.Serial)
        {
            foreach (var argument in SerialPort("kvmswitch-console", input.Paths.ConsoleSocket, index++, ("logfile", input.Paths.SerialLog), ("logappend", "off")))
                yield return argument;
        }

        foreach (var name in input.Machine.ExtraSerial)
        {
            foreach (var argument in SerialPort($"kvmswitch-serial-{name}", input.Paths.SerialSocket(name), index++))
                yield return argument;
        }
    }

    private static IEnumerable<string> SerialPort(string id, string socket, int index, params ReadOnlySpan<(string Key, string Value)> more) =>
        [.. SocketChardev(id, socket, more), "-device", $"isa-serial,chardev={id},index={index}"];

    private static IEnumerable<string> Display(Input input) => input.Machine.Display == MachineDisplay.None
        ? ["-display", "none", "-vga", "none", .. LedTeller(input)]
        :
        [
            // Else a viewer that wants to be alone would keep out the one that is told the leds.
            "-vnc", $"unix:{Escape(MachinePaths.CheckSocket(input.Paths.VncSocket))},share=ignore",
            "-vga", "none",
            "-device", $"VGA,id=kvmswitch-vga,{PciSlots.Display}",
        ];

    // A VNC server that listens nowhere tells us the leds of the guest's keyboard, see QemuLeds. Somebody else's does so too, and must stay
    // the first one: that is the one that QEMU means by "vnc".
    private static IEnumerable<string> LedTeller(Input input) => input.Machine.ExtraArguments.Contains("-vnc") ? [] : ["-vnc", "none"];

    private static IEnumerable<string> Disks(Input input) => input.Machine.Disks.SelectMany(IEnumerable<string> (disk, i) =>
    [
        // -drive rather than -blockdev: it tells an image from a block device by itself. With locking on, a second QEMU on the same
        // image fails to start instead of destroying it.
        "-drive", Options(
            "if=none",
            ("id", $"kvmswitch-disk{i}"),
            ("format", Word(disk.Format)),
            ("cache", disk.Cache),
            ("readonly", disk.ReadOnly ? "on" : "off"),
            ("file.locking", "on"),
            ("file", disk.File)),
        "-device", $"virtio-blk-pci,id=kvmswitch-disk{i}-device,drive=kvmswitch-disk{i},{PciSlots.Disk(i)},bootindex={i + 1}",
    ]);

    private static IEnumerable<string> Network(Input input) => input.Machine.Network switch
    {
        NetworkOptions.User user => NetworkCard("user,id=kvmswitch-net", user.Mac ?? Mac(input.Seed)),
        NetworkOptions.Tap tap =>
            NetworkCard(Options("tap", ("id", "kvmswitch-net"), ("ifname", tap.Name), ("script", "no"), ("downscript", "no")), tap.Mac ?? Mac(input.Seed)),
        // Without this QEMU has no network either, but says so on its error output.
        _ => ["-nic", "none"],
    };

    private static IEnumerable<string> NetworkCard(string backend, PhysicalAddress mac) =>
    [
        "-netdev", backend,
        // No boot ROM: nothing boots from the network here, and the ROM is a package of its own.
        "-device", $"virtio-net-pci,id=kvmswitch-nic,netdev=kvmswitch-net,mac={Written(mac)},{PciSlots.Network},romfile=",
    ];

    private static IEnumerable<string> UsbControllers(Input input) =>
        Enumerable.Range(0, input.Machine.Usb.Controllers).SelectMany(IEnumerable<string> (i) =>
        [
            "-device",
            $"qemu-xhci,id={ManagedMachine.UsbControllerId(i)},{PciSlots.UsbController(i)},p2={input.Machine.Usb.Ports},p3={input.Machine.Usb.Ports}",
        ]);

    // Each is a bus of its own for one PCI device; chassis and slot number must differ.
    private static IEnumerable<string> RootPorts(Input input) =>
        Enumerable.Range(0, input.Machine.RootPorts).SelectMany(IEnumerable<string> (i) =>
            ["-device", $"pcie-root-port,id={ManagedMachine.RootPortId(i)},{PciSlots.RootPort(i)},chassis={i + 1},slot={i + 1}"]);

    private static IEnumerable<string> ScsiController(Input input) => input.Machine.TakesDrives
        ? ["-device", $"virtio-scsi-pci,id={ManagedMachine.ScsiControllerId},{PciSlots.Scsi}"]
        : [];

    private static IEnumerable<string> PanicDevice(Input input) => ["-device", $"pvpanic-pci,id=kvmswitch-panic,{PciSlots.Panic}"];

    /// <summary>QEMU's prefix, and bytes of the digest that the UUID doesn't show.</summary>
    private static PhysicalAddress Mac(byte[] seed) => new([0x52, 0x54, 0x00, .. seed[16..19]]);

    private static string Written(PhysicalAddress mac) => string.Join(':', mac.GetAddressBytes().Select(part => $"{part:x2}"));

    /// <summary>The PCI address, as the guest tells it, of the USB controller that a port is on.</summary>
    public static string ControllerAddress(GuestPort port) => $"0000:00:{PciSlots.FirstUsbController + port.Controller:x2}.0";

    /// <summary>The PCI address, as the guest tells it, of the controller that optical drives are on.</summary>
    public const string ScsiControllerAddress = "0000:00:0b.0";

    /// <summary>The PCI address, as the guest tells it, of a root port.</summary>
    public static string RootPortAddress(int index) => $"0000:00:{0x18 + index / 8:x2}.{index % 8}";

    /// <summary>
    /// Who sits where on q35's root bus. Never renumber: Windows takes a moved device for a new one. 0x00 and 0x1f are the
    /// chipset's; 0x0c to 0x0f and 0x1a to 0x1d are free.
    /// </summary>
    private static class PciSlots
    {
        public const string Display = "bus=pcie.0,addr=0x01";
        public const string Network = "bus=pcie.0,addr=0x02";
        public const int FirstUsbController = 3;
        public const string Scsi = "bus=pcie.0,addr=0x0b";
        public const string Panic = "bus=pcie.0,addr=0x1e";

        /// <summary>0x03 to 0x0a.</summary>
        public static string UsbController(int index) => $"bus=pcie.0,addr=0x{FirstUsbController + index:x2}";

        /// <summary>0x10 to 0x17.</summary>
        public static string Disk(int index) => $"bus=pcie.0,addr=0x{0x10 + index:x2}";

        /// <summary>Eight to a slot, 0x18 and 0x19; function 0 tells that there are others.</summary>
        public static string RootPort(int index) => $"bus=pcie.0,addr=0x{0x18 + index / 8:x2}.{index % 8}{(index % 8 == 0 ? ",multifunction=on" : "")}";
    }
}
