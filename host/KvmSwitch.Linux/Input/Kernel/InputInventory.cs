using System.Collections.Immutable;
using System.Globalization;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>The host's event nodes, read anew from sysfs with each call. What vanishes or makes no sense while it is read is left out.</summary>
public sealed class InputInventory(KernelPaths paths)
{
    // Of the lowest word of the key bitmap: letters and digits or not, any key but the reserved code 0.
    private const ulong NoKey = 1;
    private static readonly string[] LinkDirectories = ["by-id", "by-path"];
    private readonly string _classes = Path.Combine(paths.Sys, "class/input");

    /// <summary>Ordered by number. Empty on a computer without input.</summary>
    public ImmutableArray<InputNode> All()
    {
        var links = Links();
        return [.. SysfsPath.NamesIn(_classes)
            .Where(IsEvent)
            .Select(name => Read(name, links))
            .OfType<InputNode>()
            .OrderBy(node => node.Event.Length).ThenBy(node => node.Event, StringComparer.Ordinal)];
    }

    private static bool IsEvent(string name) =>
        name.Length is > 5 and <= 10 && name.StartsWith("event", StringComparison.Ordinal) && name.AsSpan(5).IndexOfAnyExceptInRange('0', '9') < 0;

    private InputNode? Read(string name, ILookup<string, string> links)
    {
        // ../../devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0/0003:046D:C31C.0001/input/input5/event5
        if (SysfsPath.TargetOf(Path.Combine(_classes, name)).Split('/') is not [.., var input, var last] parts || last != name) return null;
        var device = Path.Combine(_classes, name, "device");
        if (SysfsText.Read(device, "name") is not { } text) return null;
        var port = parts.Reverse().Select(part => UsbPort.TryParse(part, out var one) ? (UsbPort?)one : null).FirstOrDefault(one => one is not null);
        return new(name, input, text, SysfsText.Read(device, "phys") ?? "", port, HasKeys(device), [.. links[name].Order(StringComparer.Ordinal)]);
    }

    /// <summary>The bitmap is words in hexadecimal, the highest first; keys of keyboards are in the lowest four.</summary>
    private static bool HasKeys(string device) => KernelText.Lines(Path.Combine(device, "capabilities/key"))
        .SelectMany(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Reverse()
        .Take(EventCode.FirstButton / 64)
        .Select((word, i) => ulong.TryParse(word, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var bits) ? (i == 0 ? bits & ~NoKey : bits) : 0)
        .Any(bits => bits != 0);

    private ILookup<string, string> Links() => LinkDirectories
        .Select(name => Path.Combine(paths.Dev, "input", name))
        .SelectMany(directory => SysfsPath.NamesIn(directory).Select(name => (Name: name, Event: Path.GetFileName(SysfsPath.TargetOf(Path.Combine(directory, name))))))
        .ToLookup(link => link.Event, link => link.Name, StringComparer.Ordinal);
}
