using System.Collections.Immutable;
using System.Globalization;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>A keyboard that the host can use now.</summary>
/// <param name="Node">Below /dev, as <c>input/event3</c>.</param>
/// <param name="Name">What it calls itself, cleaned.</param>
/// <param name="Port">Its USB port; null for one that isn't on USB (PS/2, a laptop's own).</param>
/// <param name="Functions">The PCI functions that it is reached through; none for what isn't behind PCI.</param>
public sealed record HostKeyboard(string Node, string Name, UsbPort? Port, ImmutableArray<PciAddress> Functions);

/// <summary>
/// The host's physical keyboards, told from sysfs without opening any. Virtual ones (our clones, remote desktops) don't count, and
/// neither do Bluetooth's, which can't be told from them: so the guard over the last keyboard errs towards refusing.
/// </summary>
public sealed class HostKeyboards(KernelPaths paths)
{
    // Escape, digits, Q to S: what udev calls a keyboard (src/udev/udev-builtin-input_id.c); a power button or remote control has less.
    private const ulong LetterKeys = 0xffff_fffe;
    private const string EventPrefix = "event";
    private readonly string _inputs = Path.Combine(paths.Sys, "class/input");

    /// <summary>Ordered by node. A keyboard with several interfaces is there once for each that can type.</summary>
    public ImmutableArray<HostKeyboard> All() =>
        [.. SysfsPath.NamesIn(_inputs).Where(name => name.StartsWith(EventPrefix, StringComparison.Ordinal)).Select(At).OfType<HostKeyboard>()];

    /// <summary>Those that leave the host together with these functions.</summary>
    public ImmutableArray<HostKeyboard> Behind(DeviceRoute.Controller route) =>
        [.. All().Where(keyboard => keyboard.Functions.Any(function => route.Functions.Contains(function)))];

    private HostKeyboard? At(string name)
    {
        var path = SysfsPath.TargetOf(Path.Combine(_inputs, name));
        var device = Path.Combine(_inputs, name, "device");
        return path.Length > 0 && !path.Contains("/devices/virtual/", StringComparison.Ordinal) && HasLetters(device)
            ? new($"input/{name}", SysfsText.Read(device, "name") ?? "", SysfsPath.PortIn(path), SysfsPath.FunctionsIn(path))
            : null;
    }

    // Words of 64 bits in hexadecimal, the highest first.
    private static bool HasLetters(string device) =>
        KernelText.Lines(Path.Combine(device, "capabilities/key")) is [var text]
        && ulong.TryParse(text.AsSpan(text.LastIndexOf(' ') + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var word)
        && (word & LetterKeys) == LetterKeys;
}
