using System.Globalization;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>A location path of Windows, in its form for PCI: where a device sits, from the root of its bus on.</summary>
/// <param name="Functions">Slot and function of each PCI device on the way, the controller last.</param>
/// <param name="Ports">The USB ports below it.</param>
internal sealed record LocationPath(int Root, IReadOnlyList<(int Slot, int Function)> Functions, IReadOnlyList<int> Ports)
{
    private const int MostParts = 32;

    /// <summary>The first path that begins at a PCI root; null where there is none that can be read.</summary>
    public static LocationPath? Find(IReadOnlyList<string> paths) => paths.Select(TryParse).FirstOrDefault(path => path is not null);

    /// <summary>The path of what is above PCI device and all: the bridge.</summary>
    public LocationPath Above() => new(Root, [.. Functions.SkipLast(1)], []);

    /// <summary>The PCI part alone.</summary>
    public LocationPath Controller() => new(Root, Functions, []);

    /// <summary>Names the PCI device among all paths.</summary>
    public string Key => $"{Root}:{string.Join('#', Functions)}";

    public static LocationPath? TryParse(string text)
    {
        var parts = text.Split('#');
        if (parts.Length is 0 or > MostParts || Argument(parts[0], "PCIROOT") is not { } root || Hex(root) is not { } number)
            return null;
        var (functions, ports) = (new List<(int Slot, int Function)>(), new List<int>());
        foreach (var part in parts.Skip(1))
        {
            if (Argument(part, "PCI") is { Length: 4 } place && Hex(place) is { } both && ports.Count == 0)
                functions.Add((both >> 8, both & 0xff));
            else if (Argument(part, "USB") is { } port && int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
                ports.Add(index);
            else if (Argument(part, "USBROOT") is null)
                // What follows is inside the device: an interface, a disk.
                break;
        }

        return new(number, functions, ports);
    }

    private static string? Argument(string part, string name) =>
        part.StartsWith(name + "(", StringComparison.OrdinalIgnoreCase) && part.EndsWith(')') ? part[(name.Length + 1)..^1] : null;

    private static int? Hex(string digits) =>
        int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) && number >= 0 ? number : null;
}
