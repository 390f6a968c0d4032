using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon.Machines;

/// <summary>
/// Configuration to QEMU's command line: a pure function, for QEMU 7.2 to 10. What the guest can see (PCI slots, ids, MAC
/// address, UUID) depends on the configuration alone, never on order or time, so that Windows finds the same machine again.
/// </summary>
public static partial class QemuArguments
{
    /// <summary>One concern's part of the command line.</summary>
    private delegate IEnumerable<string> Part(Input input);

    // A new concern is one more function here. extra_arguments stay last, so that they win where QEMU lets the last one win.
    private static readonly ImmutableArray<Part> Parts =
    [
        Identity, Confinement, Board, Processor, Firmware, Kernel, Monitor,
        SerialPorts, Display, Disks, Network, UsbControllers, RootPorts, ScsiController, PanicDevice, Extra,
    ];

    /// <summary>The arguments after the program's name.</summary>
    /// <param name="firmware">From <see cref="FirmwareFiles.Find"/>; null for BIOS.</param>
    /// <param name="hostId">
    /// What tells this computer from others, as the content of /etc/machine-id (machine-id(5)); may be empty. It goes into UUID and
    /// MAC address, so that two hosts in one network may both have a machine of the same name.
    /// </param>
    /// <exception cref="SwitchException">A socket's path is too long.</exception>
    public static ImmutableArray<string> Build(ManagedMachine machine, MachinePaths paths, FirmwareFiles? firmware, string hostId)
    {
        var input = new Input(machine, paths, firmware, SHA256.HashData(Encoding.UTF8.GetBytes($"kvmswitch\n{hostId.Trim()}\n{machine.Id}")));
        return [.. Parts.SelectMany(part => part(input))];
    }

    private static IEnumerable<string> Identity(Input input) =>
    [
        "-name", Options($"guest={input.Machine.Id}", ("debug-threads", "on")),
        "-uuid", Uuid(input.Seed).ToString(),
        "-pidfile", input.Paths.PidFile,
        "-msg", "timestamp=on",
        "-no-user-config",
        "-nodefaults",
    ];

    private static IEnumerable<string> Confinement(Input input) =>
        ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];

    private static IEnumerable<string> Monitor(Input input) =>
    [
        .. SocketChardev("kvmswitch-qmp", input.Paths.QmpSocket),
        "-mon", "chardev=kvmswitch-qmp,mode=control",
    ];

    private static IEnumerable<string> Extra(Input input) => input.Machine.ExtraArguments.AsEnumerable();

    /// <summary>A UUID of version 8 (RFC 9562, 5.8): 122 bits of a digest of the names.</summary>
    private static Guid Uuid(ReadOnlySpan<byte> seed)
    {
        Span<byte> bytes = stackalloc byte[16];
        seed[..16].CopyTo(bytes);
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new(bytes, bigEndian: true);
    }

    private static IEnumerable<string> SocketChardev(string id, string path, params ReadOnlySpan<(string Key, string Value)> more) =>
        ["-chardev", Options("socket", [("id", id), ("path", MachinePaths.CheckSocket(path)), ("server", "on"), ("wait", "off"), .. more])];

    /// <summary>QEMU's option syntax: a comma in a value is written twice.</summary>
    private static string Options(string head, params ReadOnlySpan<(string Key, string Value)> options)
    {
        var text = new StringBuilder(head);
        foreach (var (key, value) in options) text.Append(',').Append(key).Append('=').Append(Escape(value));
        return text.ToString();
    }

    private static string Escape(string value) => value.Replace(",", ",,", StringComparison.Ordinal);

    /// <summary>All that a part may look at.</summary>
    /// <param name="Seed">32 bytes that are this machine's on this host alone.</param>
    private sealed record Input(ManagedMachine Machine, MachinePaths Paths, FirmwareFiles? Files, byte[] Seed);
}
