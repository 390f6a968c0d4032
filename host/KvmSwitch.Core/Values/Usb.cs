using System.Globalization;

namespace KvmSwitch.Core;

/// <summary>USB vendor and product id, written <c>046d:c31c</c> as lsusb does.</summary>
public readonly record struct VidPid(ushort Vendor, ushort Product)
{
    /// <exception cref="FormatException">Not four hexadecimal digits, a colon, and four more.</exception>
    public static VidPid Parse(string text) => TryParse(text, out var result)
        ? result
        : throw new FormatException($"'{text}' is no USB id: write vendor:product in hexadecimal, as lsusb does (046d:c31c)");

    public static bool TryParse(string? text, out VidPid result)
    {
        result = default;
        if (text is not { Length: 9 } || text[4] != ':') return false;
        if (!ushort.TryParse(text.AsSpan(0, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var vendor)) return false;
        if (!ushort.TryParse(text.AsSpan(5, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var product)) return false;
        result = new(vendor, product);
        return true;
    }

    public override string ToString() => $"{Vendor:x4}:{Product:x4}";
}

/// <summary>
/// A physical USB port: bus number and the chain of hub ports, written <c>1-4.2</c> as the kernel names the device in
/// /sys/bus/usb/devices (Documentation/ABI/stable/sysfs-bus-usb).
/// </summary>
public readonly record struct UsbPort
{
    private UsbPort(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="FormatException">Not of the form bus-port[.port…].</exception>
    public static UsbPort Parse(string text) => TryParse(text, out var result)
        ? result
        : throw new FormatException($"'{text}' is no USB port: write bus-port.port… as in /sys/bus/usb/devices (1-4, or 1-4.2 behind a hub)");

    public static bool TryParse(string? text, out UsbPort result)
    {
        result = default;
        // USB allows at most seven tiers: five hubs below the root, so six ports in the chain.
        if (text is not { Length: > 2 and <= 24 } || text.Split('-') is not [var bus, var chain] || !IsNumber(bus)) return false;
        var ports = chain.Split('.');
        if (ports.Length > 6 || !ports.All(IsNumber)) return false;
        result = new(text);
        return true;
    }

    /// <summary>It is that port, or one of a hub that is plugged in there, however deep.</summary>
    public bool IsAtOrBelow(UsbPort port) => Value == port.Value || Value.StartsWith(port.Value + ".", StringComparison.Ordinal);

    /// <summary>The number of its port on the hub at <paramref name="port"/>; 0 for that port itself.</summary>
    public int BranchBelow(UsbPort port) => Value == port.Value
        ? 0
        : int.Parse(Value[(port.Value.Length + 1)..].Split('.')[0], CultureInfo.InvariantCulture);

    public override string ToString() => Value;

    private static bool IsNumber(string text) => text is { Length: 1 or 2 or 3 } && text[0] != '0' && text.All(char.IsAsciiDigit);
}

/// <summary>A port of the guest's USB: which of its emulated controllers (from 0), and the port on it (from 1).</summary>
public readonly record struct GuestPort(int Controller, int Port);
