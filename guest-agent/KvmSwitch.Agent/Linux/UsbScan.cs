using KvmSwitch.Agent.Devices;

namespace KvmSwitch.Agent.Linux;

/// <summary>Where the kernel shows its devices. Other roots serve tests.</summary>
internal sealed record LinuxPaths(string Sysfs = "/sys", string InputNodes = "/dev/input", string Nodes = "/dev");

/// <summary>Reads the USB devices from sysfs (Documentation/ABI/testing/sysfs-bus-usb in the kernel's source). Hubs are left out.</summary>
internal sealed class UsbScan(LinuxPaths paths)
{
    private const ushort HubClass = 0x09;
    private const ushort HidClass = 0x03;

    // Strings are read once for each stay: the kernel makes readers wait while it sets the device up.
    private Dictionary<(string Name, int Number), AttachedDevice> known = [];

    public DeviceSnapshot Take()
    {
        var found = new Dictionary<(string Name, int Number), AttachedDevice>();
        foreach (var link in SysfsPath.Entries(Path.Combine(paths.Sysfs, "bus/usb/devices")))
        {
            if (Look(Path.GetFileName(link), link) is { } device)
                found[(device.Key, device.Enumeration)] = device;
        }

        known = found;
        return new(found.Values);
    }

    private AttachedDevice? Look(string name, string link)
    {
        if (SysfsPath.Port(name) is not { } port || SysfsPath.Real(link) is not { } directory)
            return null;
        if (SysfsText.ReadNumber(directory, "devnum") is not { } number)
            return null;
        var device = known.GetValueOrDefault((name, number)) ?? Describe(name, port, number, directory);
        return device is null ? null : device with { Ready = IsReady(directory) };
    }

    private static AttachedDevice? Describe(string name, string port, int number, string directory)
    {
        if (SysfsText.ReadHex(directory, "bDeviceClass") is not { } kind || kind == HubClass)
            return null;
        if (SysfsText.ReadHex(directory, "idVendor") is not { } vendor || SysfsText.ReadHex(directory, "idProduct") is not { } product)
            return null;
        return new(
            name, vendor, product, SysfsText.Read(directory, "serial"), SysfsPath.Controller(directory), port,
            Ready: false, SysfsText.Read(directory, "product"), number);
    }

    private bool IsReady(string directory) => SysfsPath.Entries(directory)
        .Where(entry => Path.GetFileName(entry).Contains(':', StringComparison.Ordinal))
        .Any(IsInterfaceReady);

    private bool IsInterfaceReady(string directory) =>
        Path.Exists(Path.Combine(directory, "driver"))
        && SysfsText.ReadHex(directory, "bInterfaceClass") is { } kind
        && (kind != HidClass || EventNodes(directory).Any(node => File.Exists(Path.Combine(paths.InputNodes, node))));

    /// <summary>Names of the event nodes below a hid interface: <c>…/0003:…/input/input3/event1</c>.</summary>
    private static IEnumerable<string> EventNodes(string hidInterface) =>
        from hid in SysfsPath.Entries(hidInterface)
        from input in SysfsPath.Entries(Path.Combine(hid, "input"))
        from node in SysfsPath.Entries(input)
        let name = Path.GetFileName(node)
        where SysfsPath.IsEventNode(name)
        select name;
}
