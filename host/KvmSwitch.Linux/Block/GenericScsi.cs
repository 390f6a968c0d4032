using System.Globalization;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>A drive's node of the driver sg, which takes SCSI commands and nothing else (Documentation/scsi/scsi-generic.rst).</summary>
internal static class GenericScsi
{
    // Far from the numbers that QEMU gives by itself, which begin at 0.
    private const int FirstSet = 21000;
    private const string Prefix = "sg";

    /// <summary>The path of the node that belongs to a drive, as /dev/sg0.</summary>
    /// <param name="name">The drive's, as <c>sr0</c>.</param>
    /// <exception cref="SwitchException">Refused: the kernel has no such node for it.</exception>
    public static string NodeOf(KernelPaths paths, Device device, string name)
    {
        var node = SysfsPath.NamesIn(Path.Combine(paths.Sys, "class/block", name, "device/scsi_generic")).FirstOrDefault(IsNode);
        return node is null
            ? throw new SwitchException(Failure.Refused, $"{device.Id} takes no SCSI commands: the kernel's driver sg isn't loaded; run 'modprobe sg' and try again")
            : Path.Combine(paths.Dev, node);
    }

    /// <summary>
    /// The set of descriptors (add-fd) by which a QEMU can open that node. Whether what it opens is such a node, QEMU asks the name
    /// /dev/fdset/N and not the descriptor (block/file-posix.c, hdev_is_sg): so there is a character device under that name where
    /// it looks. It is the one that all have, and stays there.
    /// </summary>
    /// <exception cref="SwitchException">Failed: the name can't be made.</exception>
    public static int PrepareSet(KernelPaths paths, Recipient qemu, string node)
    {
        var set = FirstSet + int.Parse(Path.GetFileName(node).AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture);
        var directory = Path.Combine(paths.Proc, $"{qemu.ProcessId}", "root/dev/fdset");
        var link = Path.Combine(directory, $"{set}");
        try
        {
            Directory.CreateDirectory(directory);
            if (new FileInfo(link).LinkTarget is null) File.CreateSymbolicLink(link, "../null");
            return set;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SwitchException(Failure.Failed, $"no optical drive can be shown to {qemu.Machine}: {e.Message}", e);
        }
    }

    private static bool IsNode(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out _);
}
