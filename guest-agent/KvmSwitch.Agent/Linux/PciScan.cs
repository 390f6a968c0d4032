using System.Globalization;
using KvmSwitch.Agent.Devices;

namespace KvmSwitch.Agent.Linux;

/// <summary>
/// Reads from sysfs the PCI functions below a root port or another bridge (Documentation/ABI/testing/sysfs-bus-pci in the kernel's source).
/// Left out: those on a root bus, which are fixed; bridges; and virtual functions, which the guest makes itself.
/// </summary>
internal sealed class PciScan(LinuxPaths paths)
{
    private const uint BridgeBaseClass = 0x06;
    private const uint LargestClass = 0xffffff;

    // UHCI, OHCI, EHCI and xHCI. Other programming interfaces of this class are no hosts: they have no root hub.
    private const uint FirstUsbHost = 0x0c0300;
    private const uint LastUsbHost = 0x0c0330;

    private Dictionary<(string Name, int Stay), AttachedDevice> known = [];

    public IReadOnlyCollection<AttachedDevice> Take()
    {
        var found = new Dictionary<(string Name, int Stay), AttachedDevice>();
        foreach (var link in SysfsPath.Entries(Path.Combine(paths.Sysfs, "bus/pci/devices")))
        {
            if (Look(Path.GetFileName(link), link) is { } device)
                found[(device.Key, device.Enumeration)] = device;
        }

        known = found;
        return found.Values;
    }

    private AttachedDevice? Look(string name, string link)
    {
        if (SysfsPath.Slot(name) is not { } slot || SysfsPath.Real(link) is not { } directory || SysfsPath.Bridge(directory) is not { } bridge)
            return null;
        if (Native.Inode(directory) is not { } stay)
            return null;
        var device = known.GetValueOrDefault((name, stay)) ?? Describe(name, slot, bridge, stay, directory);
        return device is null ? null : device with { Ready = IsReady(device.PciClass, directory) };
    }

    // The link to the driver is there before the driver has made the function work.
    private static bool IsReady(uint kind, string directory) =>
        Path.Exists(Path.Combine(directory, "driver"))
        && (kind is < FirstUsbHost or > LastUsbHost || SysfsPath.Entries(directory).Any(entry => SysfsPath.IsRootHub(Path.GetFileName(entry))));

    private static AttachedDevice? Describe(string name, string slot, string bridge, int stay, string directory)
    {
        if (SysfsText.ReadC(directory, "class", LargestClass) is not { } kind || kind >> 16 == BridgeBaseClass || Path.Exists(Path.Combine(directory, "physfn")))
            return null;
        if (SysfsText.ReadC(directory, "vendor", ushort.MaxValue) is not { } vendor || SysfsText.ReadC(directory, "device", ushort.MaxValue) is not { } id)
            return null;
        return new(name, (ushort)vendor, (ushort)id, Serial: "", bridge, slot, Ready: false, Product: Words(kind), stay) { Bus = DeviceBus.Pci, PciClass = kind };
    }

    // A function has no name of its own; the system's table of names may be missing.
    private static string Words(uint kind) => string.Create(CultureInfo.InvariantCulture, $"PCI class {kind:x6}");
}
