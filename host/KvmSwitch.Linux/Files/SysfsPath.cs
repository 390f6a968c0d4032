using System.Collections.Immutable;
using System.Runtime.InteropServices;
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

    /// <summary>The names in a directory, in order; empty when there is no such directory, or it may not be read.</summary>
    public static ImmutableArray<string> NamesIn(string directory)
    {
        // Not by Directory, which asks twice for each link where it leads: most of sysfs is links.
        var opened = Libc.OpenDirectory(directory);
        if (opened == 0) return [];
        var names = ImmutableArray.CreateBuilder<string>();
        for (var entry = Libc.ReadDirectory(opened); entry != 0; entry = Libc.ReadDirectory(opened))
            if (Marshal.PtrToStringUTF8(entry + Libc.DirectoryEntryName) is { } name and not ("." or "..")) names.Add(name);
        _ = Libc.CloseDirectory(opened);
        names.Sort(StringComparer.Ordinal);
        return names.ToImmutable();
    }
}
