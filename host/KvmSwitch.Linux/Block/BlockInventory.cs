using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>The host's block devices, and what uses them, read anew with each call (Documentation/ABI/stable/sysfs-block).</summary>
public sealed class BlockInventory(KernelPaths paths)
{
    private readonly string _classes = Path.Combine(paths.Sys, "class/block");

    /// <summary>Disks and partitions on a USB device, and on all that is plugged into it if it is a hub.</summary>
    public ImmutableArray<BlockDevice> Below(UsbPort port) => Below(Path.Combine("bus/usb/devices", port.Value));

    /// <summary>Disks and partitions behind a PCI function.</summary>
    public ImmutableArray<BlockDevice> Below(PciAddress address) => Below(Path.Combine("bus/pci/devices", address.Value));

    /// <summary>One disk and its partitions; empty when there is none of that name.</summary>
    /// <param name="name">As <c>sr0</c>.</param>
    public ImmutableArray<BlockDevice> Named(string name) => Below(Path.Combine("class/block", name));

    /// <summary>What the host does with them now.</summary>
    public BlockUse UseOf(ImmutableArray<BlockDevice> devices)
    {
        var all = WithHolders(devices);
        var swaps = ProcText.Lines(Path.Combine(paths.Proc, "swaps")).Select(line => ProcText.Unescape(line.Split(' ', '\t')[0])).Select(NodeName).ToHashSet();
        return new(
            all,
            [.. Mounts().Reverse().SelectMany(mount => all.Where(device => IsOf(mount, device)).Take(1).Select(device => (device, mount)))],
            [.. all.Select(device => device.Name).Where(swaps.Contains)]);
    }

    private ImmutableArray<BlockDevice> Below(string entry)
    {
        var top = DevicePath(Path.Combine(paths.Sys, entry));
        return top is null || !Directory.Exists(_classes) ? [] : [.. Directory.EnumerateFileSystemEntries(_classes)
            .Where(path => DevicePath(path) is { } at && (at == top || at.StartsWith(top + "/", StringComparison.Ordinal)))
            .Select(path => Read(Path.GetFileName(path)))
            .OfType<BlockDevice>()
            .OrderBy(device => device.Name, StringComparer.Ordinal)];
    }

    private BlockDevice? Read(string name)
    {
        var directory = Path.Combine(_classes, name);
        return SysfsText.Read(directory, "dev") is { Length: > 0 } numbers
            ? new(
                name, numbers, File.Exists(Path.Combine(directory, "partition")),
                SysfsText.Read(Path.Combine(directory, "dm"), "uuid")?.StartsWith("CRYPT-", StringComparison.Ordinal) ?? false,
                HoldersOf(directory))
            : null;
    }

    private static ImmutableArray<string> HoldersOf(string directory)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(Path.Combine(directory, "holders")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
    }

    private ImmutableArray<BlockDevice> WithHolders(ImmutableArray<BlockDevice> devices)
    {
        var all = devices.ToDictionary(device => device.Name);
        var toVisit = new Queue<BlockDevice>(devices);
        while (toVisit.TryDequeue(out var device))
        {
            foreach (var made in device.Holders.SelectMany(holder => Named(holder)).Where(made => all.TryAdd(made.Name, made))) toVisit.Enqueue(made);
        }

        return [.. all.Values.OrderBy(device => device.Name, StringComparer.Ordinal)];
    }

    // Process 1 sees what the host has mounted, also when this daemon lives in a namespace of its own.
    private IEnumerable<Mount> Mounts() => (ProcText.Lines(Path.Combine(paths.Proc, "1/mountinfo")) is { Length: > 0 } lines
        ? lines
        : ProcText.Lines(Path.Combine(paths.Proc, "self/mountinfo"))).Select(Mount.Parse).OfType<Mount>();

    private bool IsOf(Mount mount, BlockDevice device) =>
        mount.Numbers == device.Numbers || (mount.Type is "btrfs" or "bcachefs" && mount.Source.Split(':').Select(NodeName).Any(name => IsSameVolume(name, device.Name)));

    // Such a file system has numbers of its own and names but one of its devices.
    private bool IsSameVolume(string mounted, string name) => mounted == name || BtrfsVolumes().Any(volume => volume.Contains(mounted) && volume.Contains(name));

    private IEnumerable<HashSet<string>> BtrfsVolumes()
    {
        var volumes = Path.Combine(paths.Sys, "fs/btrfs");
        return !Directory.Exists(volumes) ? [] : Directory.EnumerateDirectories(volumes)
            .Select(volume => Path.Combine(volume, "devices"))
            .Where(Directory.Exists)
            .Select(devices => Directory.EnumerateFileSystemEntries(devices).Select(path => Path.GetFileName(path)).ToHashSet());
    }

    /// <summary>The kernel's name of a node, also by way of links as those of /dev/mapper; the empty text for what is no node.</summary>
    private string NodeName(string path)
    {
        const string Dev = "/dev/";
        if (!path.StartsWith(Dev, StringComparison.Ordinal) || path.Contains('\0', StringComparison.Ordinal)) return "";
        try
        {
            var node = new FileInfo(Path.Combine(paths.Dev, path[Dev.Length..]));
            return (node.ResolveLinkTarget(returnFinalTarget: true) ?? node).Name;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>Where an entry of sysfs leads, below its directory of devices.</summary>
    private static string? DevicePath(string entry)
    {
        const string Devices = "/devices/";
        var target = new FileInfo(entry).LinkTarget;
        var at = target?.IndexOf(Devices, StringComparison.Ordinal) ?? -1;
        return at < 0 ? null : target![(at + Devices.Length)..].TrimEnd('/');
    }
}
