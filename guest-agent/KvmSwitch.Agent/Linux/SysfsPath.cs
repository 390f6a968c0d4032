using System.Text.RegularExpressions;

namespace KvmSwitch.Agent.Linux;

/// <summary>What the real path of a node in sysfs tells.</summary>
internal static partial class SysfsPath
{
    /// <summary>Where the links end, for instance <c>/sys/devices/pci0000:00/0000:00:04.0/usb1/1-2</c>; null when the node is gone.</summary>
    public static string? Real(string path)
    {
        try
        {
            return Directory.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? (Directory.Exists(path) ? path : null);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>What a directory holds; nothing when it is gone.</summary>
    public static string[] Entries(string directory)
    {
        try
        {
            return Directory.GetFileSystemEntries(directory);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>PCI address of the USB controller above this node; empty where there is none.</summary>
    public static string Controller(string real)
    {
        var parts = real.Split('/');
        var bus = Array.FindIndex(parts, part => RootHub().IsMatch(part));
        return bus > 0 && PciAddress().IsMatch(parts[bus - 1]) ? parts[bus - 1] : "";
    }

    /// <summary>The USB device that this node belongs to, as <c>1-2.3</c>; null where there is none.</summary>
    public static string? UsbDevice(string real) => real.Split('/').LastOrDefault(part => UsbName().IsMatch(part));

    /// <summary>Port path below the controller: <c>2.3</c> of <c>1-2.3</c>; null when it is no name of a USB device.</summary>
    public static string? Port(string name) => UsbName().IsMatch(name) ? name[(name.IndexOf('-', StringComparison.Ordinal) + 1)..] : null;

    /// <summary>PCI address of the bridge right above a PCI function; null for one that sits on a root bus, where nothing can be plugged in.</summary>
    public static string? Bridge(string real) =>
        real.Split('/') is [.., var above, var function] && PciAddress().IsMatch(function) && PciAddress().IsMatch(above) ? above : null;

    /// <summary>PCI address of the function nearest above this node; empty where there is none.</summary>
    public static string PciFunction(string real) => real.Split('/').LastOrDefault(part => PciAddress().IsMatch(part)) ?? "";

    /// <summary>Slot and function, <c>00.0</c> of <c>0000:03:00.0</c>; null when it is no PCI address.</summary>
    public static string? Slot(string name) => PciAddress().IsMatch(name) ? name[(name.LastIndexOf(':') + 1)..] : null;

    /// <summary>The SCSI device that this node belongs to, as <c>2:0:1:0</c>; null where there is none.</summary>
    public static string? ScsiDevice(string real) => real.Split('/').LastOrDefault(part => ScsiAddress().IsMatch(part));

    public static bool IsRootHub(string name) => RootHub().IsMatch(name);

    public static bool IsOpticalNode(string name) => OpticalNode().IsMatch(name);

    public static bool IsEventNode(string name) => EventNode().IsMatch(name);

    [GeneratedRegex(@"^usb\d{1,4}$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex RootHub();

    [GeneratedRegex(@"^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex PciAddress();

    [GeneratedRegex(@"^\d{1,4}-\d{1,3}(\.\d{1,3}){0,6}$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex UsbName();

    [GeneratedRegex(@"^\d{1,5}:\d{1,5}:\d{1,5}:\d{1,20}$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ScsiAddress();

    [GeneratedRegex(@"^sr\d{1,5}$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex OpticalNode();

    [GeneratedRegex(@"^event\d{1,5}$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex EventNode();
}
