using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;

namespace KvmSwitch.Linux;

/// <summary>A device of the kernel came, went or changed. A hint to look again, never the truth.</summary>
/// <param name="Action">add, remove, change, move, online, offline, bind, unbind; or <see cref="RescanAction"/>.</param>
/// <param name="DevPath">Below /sys, as <c>/devices/pci0000:00/0000:00:14.0/usb1/1-4</c>.</param>
public sealed record Uevent(string Action, string Subsystem, string DevPath, ImmutableDictionary<string, string> Properties)
{
    public const string RescanAction = "rescan";

    // "libudev", NUL; then in host order but for the magic: magic, header size, offset and length of the properties, four hashes.
    private const uint UdevMagic = 0xfeedcafe;
    private const int UdevHeaderSize = 40;

    /// <summary>Events were lost: anything may have changed.</summary>
    public static Uevent Rescan { get; } = new(RescanAction, "", "", ImmutableDictionary<string, string>.Empty);

    public bool IsRescan => Action == RescanAction;

    /// <summary>What the kernel sends: <c>ACTION@DEVPATH</c>, then <c>KEY=VALUE</c>, each ended by NUL (lib/kobject_uevent.c).</summary>
    /// <returns>Null when it is nothing of the kind.</returns>
    public static Uevent? ParseKernel(ReadOnlySpan<byte> message)
    {
        var end = message.IndexOf((byte)0);
        return end > 0 && message[..end].Contains((byte)'@') ? OfProperties(message[(end + 1)..]) : null;
    }

    /// <summary>What systemd-udevd sends after its rules ran (src/libsystemd/sd-device/device-monitor.c).</summary>
    /// <returns>Null when it is nothing of the kind.</returns>
    public static Uevent? ParseUdev(ReadOnlySpan<byte> message)
    {
        if (message.Length < UdevHeaderSize || !message.StartsWith("libudev\0"u8)) return null;
        if (BinaryPrimitives.ReadUInt32BigEndian(message[8..]) != UdevMagic) return null;
        var offset = BitConverter.ToUInt32(message[16..]);
        var length = BitConverter.ToUInt32(message[20..]);
        return offset >= UdevHeaderSize && offset <= message.Length && length <= message.Length - offset
            ? OfProperties(message.Slice((int)offset, (int)length))
            : null;
    }

    private static Uevent? OfProperties(ReadOnlySpan<byte> list)
    {
        var properties = ImmutableDictionary.CreateBuilder<string, string>();
        foreach (var range in list.Split((byte)0))
        {
            var pair = Encoding.UTF8.GetString(list[range]);
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0) properties[pair[..equals]] = pair[(equals + 1)..];
        }

        return properties.TryGetValue("ACTION", out var action) && action.Length > 0 && action != RescanAction
            && properties.TryGetValue("DEVPATH", out var path)
            && properties.TryGetValue("SUBSYSTEM", out var subsystem)
            ? new(action, subsystem, path, properties.ToImmutable())
            : null;
    }
}
