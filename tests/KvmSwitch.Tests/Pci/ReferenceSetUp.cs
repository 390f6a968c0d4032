using System.Globalization;
using System.Text.RegularExpressions;
using KvmSwitch.Testing.Linux;
using KvmSwitch.Tests.Configuration;

namespace KvmSwitch.Tests.Pci;

/// <summary>A tree after the listing of a real computer, as lspci -nns printed it for each IOMMU group.</summary>
internal static partial class ReferenceSetUp
{
    /// <summary>The bridges above each bus, as the numbers of its root ports tell.</summary>
    private static readonly Dictionary<string, string[]> Bridges = new()
    {
        ["00"] = [],
        ["01"] = ["0000:00:01.0"],
        ["02"] = ["0000:00:1c.0"],
        ["03"] = ["0000:00:1c.4"],
        ["04"] = ["0000:00:1c.5"],
        ["05"] = ["0000:00:1c.5", "0000:04:00.0"],
    };

    public static void AddTo(PciTree tree)
    {
        int? group = null;
        foreach (var line in File.ReadLines(Repository.PathOf("tests", "KvmSwitch.Tests", "Pci", "reference-iommu-groups.txt")))
        {
            if (line.StartsWith("IOMMU group ", StringComparison.Ordinal))
            {
                group = int.Parse(line.AsSpan("IOMMU group ".Length), CultureInfo.InvariantCulture);
                continue;
            }

            var (address, kind, name, id) = Row().Match(line) is { Success: true } row
                ? (row.Groups["address"].Value, row.Groups["kind"].Value, row.Groups["name"].Value, row.Groups["id"].Value)
                : throw new FormatException(line);
            var (code, driver) = Told(kind, name);
            tree.Add($"0000:{address}", id, code, group, driver, Bridges[address[..2]]);
        }
    }

    /// <summary>The listing has no programming interface: the names tell.</summary>
    private static (uint Class, string? Driver) Told(string kind, string name) => kind switch
    {
        "0c03" when name.Contains("UHCI", StringComparison.Ordinal) => (0x0c0300, "uhci_hcd"),
        "0c03" when name.Contains("xHCI", StringComparison.Ordinal) => (0x0c0330, "xhci_hcd"),
        "0c03" => (0x0c0320, "ehci-pci"),
        "0604" => (0x060400, "pcieport"),
        "0106" => (0x010601, "ahci"),
        "0200" => (0x020000, "r8169"),
        "0403" => (0x040300, "snd_hda_intel"),
        "0300" when name.Contains("NVIDIA", StringComparison.Ordinal) => (0x030000, "nouveau"),
        _ => (uint.Parse(kind, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) << 8, null),
    };

    [GeneratedRegex(@"^(?<address>\S+) [^\[]+\[(?<kind>[0-9a-f]{4})\]: (?<name>.+) \[(?<id>[0-9a-f]{4}:[0-9a-f]{4})\]", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Row();
}
