using System.Buffers.Binary;
using System.Text;

namespace KvmSwitch.Linux;

/// <summary>A device of the kernel came, went or changed. A hint to look again, never the truth.</summary>
/// <param name="Action">add, remove, change, move, online, offline, bind, unbind; or <see cref="RescanAction"/>.</param>
/// <param name="DevPath">Below /sys, as <c>/devices/pci0000:00/0000:00:14.0/usb1/1-4</c>.</param>
public sealed record Uevent(string Action, string Subsystem, string DevPath)
{
    public const string RescanAction = "rescan";

    // "libudev", NUL; then in host order but for the magic: magic, header size, offset and length of the properties, four hashes.
    private const uint UdevMagic = 0xfeedcafe;
    private const int UdevHeaderSize = 40;

    /// <summary>Events were lost: anything may have changed.</summary>
    public static Uevent Rescan { get; } = new(RescanAction, "", "");

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

    // A handoff sets off a hundred events of some thirty properties each: only what is wanted becomes a text.
    private static Uevent? OfProperties(ReadOnlySpan<byte> list)
    {
        string? action = null, path = null, subsystem = null;
        foreach (var range in list.Split((byte)0))
        {
            var pair = list[range];
            if (pair.StartsWith("ACTION="u8)) action = ValueOf(pair);
            else if (pair.StartsWith("DEVPATH="u8)) path = ValueOf(pair);
            else if (pair.StartsWith("SUBSYSTEM="u8)) subsystem = ValueOf(pair);
        }

        return action is { Length: > 0 } and not RescanAction && path is not null && subsystem is not null ? new(action, subsystem, path) : null;
    }

    private static string ValueOf(ReadOnlySpan<byte> pair) => Encoding.UTF8.GetString(pair[(pair.IndexOf((byte)'=') + 1)..]);
}
