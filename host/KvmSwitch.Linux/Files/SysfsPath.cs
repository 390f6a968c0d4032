using System.Collections.Immutable;
using System.Text;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Where a device is in the tree of devices: the links of sysfs tell, without asking any driver.</summary>
internal static class SysfsPath
{
    // PATH_MAX (include/uapi/linux/limits.h).
    private const int MaxTarget = 4096;

    /// <summary>What a link of /sys/class or /sys/bus points to, as <c>../../devices/pci0000:00/0000:00:14.0/usb1/1-4</c>; empty: no such link.</summary>
    public static string TargetOf(string link)
    {
        // Not by FileInfo, which makes three system calls of it.
        Span<byte> bytes = stackalloc byte[MaxTarget];
        var count = Libc.ReadLink(link, bytes, bytes.Length);
        return count is > 0 and < MaxTarget ? Encoding.UTF8.GetString(bytes[..(int)count]) : "";
    }

    /// <summary>The PCI functions on the way to a device, from the root down.</summary>
    public static ImmutableArray<PciAddress> FunctionsIn(string path)
    {
        var found = ImmutableArray.CreateBuilder<PciAddress>();
        foreach (var part in path.Split('/'))
            if (PciAddress.TryParse(part, out var address)) found.Add(address);
        return found.ToImmutable();
    }

    /// <summary>The USB port of a device or of the device that an interface belongs to; null when it isn't on USB.</summary>
    public static UsbPort? PortIn(string path)
    {
        UsbPort? found = null;
        foreach (var part in path.Split('/'))
            if (UsbPort.TryParse(part, out var port)) found = port;
        return found;
    }

    /// <summary>The names in a directory, in order; empty when there is no such directory.</summary>
    public static ImmutableArray<string> NamesIn(string directory)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(directory).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
