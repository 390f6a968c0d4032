using System.Collections.Immutable;
using System.Net.NetworkInformation;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads the disks of a machine.</summary>
internal static class DiskSection
{
    public const int MaxDisks = 8;

    public static ImmutableArray<DiskOptions> ReadAll(TableReader machine)
    {
        var disks = ImmutableArray.CreateBuilder<DiskOptions>();
        foreach (var table in machine.Each("disks", "[ { file = \"/path\" } ]"))
        {
            var disk = Read(table);
            if (disk.File.Length > 0 && disks.Any(other => other.File == disk.File)) table.Fail("file", "is a disk of this machine already; remove one of the two");
            disks.Add(disk);
        }

        if (disks.Count > MaxDisks) machine.Fail("disks", $"a machine has at most {MaxDisks} disks here; remove some");
        return disks.DrainToImmutable();
    }

    private static DiskOptions Read(TableReader table)
    {
        var file = table.Require("file", "", Quantities.AbsolutePath, "the absolute path of an image or a block device");
        var looksLikeQcow2 = file.EndsWith(".qcow2", StringComparison.OrdinalIgnoreCase);
        var format = table.Word("format", looksLikeQcow2 ? DiskFormat.Qcow2 : DiskFormat.Raw, ("raw", DiskFormat.Raw), ("qcow2", DiskFormat.Qcow2));
        // The guest would see the image's own header as its disk, and writing would destroy it.
        if (looksLikeQcow2 && format == DiskFormat.Raw) table.Fail("format", "is raw, but the file's name says qcow2; write format = \"qcow2\", or rename the file");
        var cache = table.Word(
            "cache",
            "none",
            ("none", "none"),
            ("writeback", "writeback"),
            ("writethrough", "writethrough"),
            ("directsync", "directsync"),
            ("unsafe", "unsafe"));
        var disk = new DiskOptions(file, format, cache, table.Flag("read_only", false));
        table.Finish();
        return disk;
    }
}

/// <summary>Reads how a machine reaches the network.</summary>
internal static class NetworkSection
{
    /// <summary>IFNAMSIZ less the final zero (linux/if.h).</summary>
    private const int MaxInterfaceName = 15;

    private enum Kind
    {
        User,
        Tap,
        None,
    }

    public static NetworkOptions Read(TableReader machine)
    {
        var table = machine.Table("network");
        NetworkOptions options = table.Word("kind", Kind.User, ("user", Kind.User), ("tap", Kind.Tap), ("none", Kind.None)) switch
        {
            Kind.Tap => new NetworkOptions.Tap(table.Require("name", "", InterfaceName, "the name of the TAP interface"), Mac(table)),
            Kind.User => new NetworkOptions.User(Mac(table)),
            _ => new NetworkOptions.None(),
        };
        table.Finish();
        return options;
    }

    private static PhysicalAddress? Mac(TableReader table) => table.Read<PhysicalAddress?>("mac", null, Quantities.Mac);

    private static string InterfaceName(string text) =>
        text.Length is > 0 and <= MaxInterfaceName && text is not ("." or "..") && text.All(c => c is > ' ' and <= '~' and not ('/' or ',' or ':' or '%'))
            ? text
            : throw new FormatException($"'{text}' is no name of a network interface; write one of 1 to {MaxInterfaceName} characters, as tap0");
}
