using System.Buffers.Binary;
using System.Text;
using KvmSwitch.Agent.Devices;

namespace KvmSwitch.Agent.Linux;

/// <summary>Reads the optical drives on SCSI from sysfs. One on USB is left out: it is reported as a USB device.</summary>
internal sealed class OpticalScan(LinuxPaths paths)
{
    private Dictionary<(string Name, int Stay), AttachedDevice> known = [];

    public IReadOnlyCollection<AttachedDevice> Take()
    {
        var found = new Dictionary<(string Name, int Stay), AttachedDevice>();
        foreach (var link in SysfsPath.Entries(Path.Combine(paths.Sysfs, "class/block")))
        {
            if (Look(Path.GetFileName(link), link) is { } device)
                found[(device.Key, device.Enumeration)] = device;
        }

        known = found;
        return found.Values;
    }

    private AttachedDevice? Look(string node, string link)
    {
        if (!SysfsPath.IsOpticalNode(node) || SysfsPath.Real(link) is not { } directory || SysfsPath.UsbDevice(directory) is not null)
            return null;
        if (SysfsPath.ScsiDevice(directory) is not { } name || Native.Inode(directory) is not { } stay)
            return null;
        var device = known.GetValueOrDefault((name, stay)) ?? Describe(name, stay, directory);
        return device with { Ready = Path.Exists(Path.Combine(paths.Nodes, node)) };
    }

    private static AttachedDevice Describe(string name, int stay, string directory)
    {
        var device = Path.Combine(directory, "device");
        return new(
            name, VendorId: 0, ProductId: 0, UnitSerial.Parse(SysfsText.ReadBytes(device, "vpd_pg80")), SysfsPath.PciFunction(directory),
            Port: name[(name.IndexOf(':', StringComparison.Ordinal) + 1)..], Ready: false,
            $"{SysfsText.Read(device, "vendor")} {SysfsText.Read(device, "model")}".Trim(), stay) { Bus = DeviceBus.Scsi };
    }
}

/// <summary>SCSI vital product data page 0x80, unit serial number (SPC-4, 7.8.14).</summary>
internal static class UnitSerial
{
    private const byte PageCode = 0x80;
    private const int Header = 4;
    private const int Longest = 128;

    /// <summary>The serial number without padding; empty where the page is none, or what it tells can't be one.</summary>
    public static string Parse(ReadOnlySpan<byte> page)
    {
        if (page.Length < Header || page[1] != PageCode)
            return "";
        var length = BinaryPrimitives.ReadUInt16BigEndian(page[2..]);
        if (length > Longest || length > page.Length - Header)
            return "";
        return SysfsText.Clean(Encoding.ASCII.GetString(page.Slice(Header, length)));
    }
}
