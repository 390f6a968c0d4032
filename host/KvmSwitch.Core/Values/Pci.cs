namespace KvmSwitch.Core;

/// <summary>A PCI function, written <c>0000:00:14.0</c> as the kernel names it in /sys/bus/pci/devices.</summary>
public readonly record struct PciAddress
{
    private PciAddress(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="FormatException">Not domain:bus:device.function in hexadecimal.</exception>
    public static PciAddress Parse(string text) => TryParse(text, out var result)
        ? result
        : throw new FormatException($"'{text}' is no PCI address: write domain:bus:device.function as lspci -D does (0000:00:14.0)");

    /// <summary>As <see cref="Parse"/>, but the domain may be left out, as lspci does (00:14.0).</summary>
    public static PciAddress ParseShort(string text) => Parse(text is { Length: 7 } ? $"0000:{text}" : text);

    public static bool TryParse(string? text, out PciAddress result)
    {
        result = default;
        if (text is not { Length: 12 } || text[4] != ':' || text[7] != ':' || text[10] != '.') return false;
        if (!Hexadecimal(text[..4]) || !Hexadecimal(text[5..7]) || !Hexadecimal(text[8..10]) || text[11] is < '0' or > '7') return false;
        result = new(text.ToLowerInvariant());
        return true;
    }

    public override string ToString() => Value;

    private static bool Hexadecimal(string text) => text.All(char.IsAsciiHexDigit);
}
