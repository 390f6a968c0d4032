using System.Runtime.InteropServices;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// Mounted file systems, swap, and disks that something is built on (LVM, LUKS, RAID), followed down to the disks and so to the
/// functions that these hang on. Sources: /sys/class/block, /proc/self/mountinfo, /proc/swaps (proc(5)).
/// </summary>
internal sealed class BlockUses
{
    private const int EBUSY = 16;
    private const int O_EXCL = 0x80;
    private const int O_NONBLOCK = 0x800;
    private static readonly string[] Vital = ["/", "/usr", "/var", "/etc", "/boot", "/boot/efi", "/efi", "/nix"];
    private readonly KernelPaths _paths;
    private readonly string _blocks;
    private readonly Dictionary<string, string> _names;
    private readonly ILookup<string, string> _claims;

    public BlockUses(KernelPaths paths)
    {
        _paths = paths;
        _blocks = Path.Combine(paths.Sys, "class/block");
        _names = SysfsPath.NamesIn(_blocks)
            .Select(name => (Number: SysfsText.Read(Path.Combine(_blocks, name), "dev"), Name: name))
            .Where(block => block.Number is not null)
            .GroupBy(block => block.Number!, block => block.Name).ToDictionary(group => group.Key, group => group.First());
        _claims = Mounts().Concat(Swaps()).SelectMany(claim => Below(claim.Name, []).Select(name => (Name: name, claim.For)))
            .ToLookup(claim => claim.Name, claim => claim.For);
    }

    public IEnumerable<PciUse> Behind(PciAddress function)
    {
        var disks = SysfsPath.NamesIn(_blocks)
            .Where(name => SysfsPath.FunctionsIn(SysfsPath.TargetOf(Path.Combine(_blocks, name))).Contains(function)).ToArray();
        var uses = Known(function, disks).ToArray();
        return uses.Length > 0 ? uses : disks
            .Where(name => IsClaimed(Path.Combine(_paths.Dev, name.Replace('!', '/'))))
            .Select(name => new PciUse(function, $"{SysfsText.Clean(name)}, which the kernel uses (as ZFS does)", "", IsVital: true));
    }

    /// <summary>Whether the kernel has it for itself: then it can't be opened exclusively (open(2) of block devices).</summary>
    internal static bool IsClaimed(string node)
    {
        using var file = Libc.Open(node, Libc.O_RDONLY | O_EXCL | O_NONBLOCK | Libc.O_CLOEXEC, 0);
        return file.IsInvalid && Marshal.GetLastPInvokeError() == EBUSY;
    }

    private IEnumerable<PciUse> Known(PciAddress function, string[] disks)
    {
        foreach (var name in disks)
        {
            var claims = _claims[name].Distinct().OrderBy(claim => !Vital.Contains(claim)).ToArray();
            var text = SysfsText.Clean(name);
            if (claims.Contains("swap")) yield return new(function, $"{text}, used as swap", "switch it off with swapoff", IsVital: true);
            else if (claims.Length > 0) yield return new(function, $"{text}, mounted at {SysfsText.Clean(claims[0])}", "unmount it first", Vital.Contains(claims[0]));
            else if (SysfsPath.NamesIn(Path.Combine(_blocks, name, "holders")) is [var holder, ..])
                yield return new(function, $"{text}, part of {SysfsText.Clean(holder)}", $"stop {SysfsText.Clean(holder)} first", IsVital: false);
        }
    }

    /// <summary>A block device and all that it is made of: dm-0 is on sda2.</summary>
    private HashSet<string> Below(string name, HashSet<string> seen)
    {
        if (!seen.Add(name)) return seen;
        foreach (var part in SysfsPath.NamesIn(Path.Combine(_blocks, name, "slaves"))) Below(part, seen);
        return seen;
    }

    private IEnumerable<(string Name, string For)> Mounts()
    {
        foreach (var line in KernelText.Lines(Path.Combine(_paths.Proc, "self/mountinfo")))
        {
            // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
            var fields = line.Split(' ');
            var dash = Array.IndexOf(fields, "-");
            if (dash < 6 || fields.Length < dash + 3) continue;
            foreach (var name in Carriers(fields[2], KernelText.Unescape(fields[dash + 2]))) yield return (name, KernelText.Unescape(fields[4]));
        }
    }

    private IEnumerable<(string Name, string For)> Swaps()
    {
        foreach (var line in KernelText.Lines(Path.Combine(_paths.Proc, "swaps")).Skip(1))
            if (line.StartsWith("/dev/", StringComparison.Ordinal) && NameOf(KernelText.Unescape(line.Split(' ', '\t')[0])) is { } name) yield return (name, "swap");
    }

    /// <summary>btrfs and others have a number of their own that names no disk; then the source does, and btrfs may span several.</summary>
    private IEnumerable<string> Carriers(string number, string source)
    {
        if (_names.TryGetValue(number, out var name)) return [name];
        if (NameOf(source) is not { } one) return [];
        var pools = Path.Combine(_paths.Sys, "fs/btrfs");
        return SysfsPath.NamesIn(pools).Select(pool => SysfsPath.NamesIn(Path.Combine(pools, pool, "devices")))
            .Where(disks => disks.Contains(one)).SelectMany(disks => disks).Prepend(one).Distinct();
    }

    /// <summary>The kernel's name of a node: /dev/mapper/home is a link to ../dm-1.</summary>
    private string? NameOf(string node)
    {
        if (!node.StartsWith("/dev/", StringComparison.Ordinal)) return null;
        var target = SysfsPath.TargetOf(Path.Combine(_paths.Dev, node[5..]));
        return Path.GetFileName(target.Length > 0 ? target : node);
    }
}
