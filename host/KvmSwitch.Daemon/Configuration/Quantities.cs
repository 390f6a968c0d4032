using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>The written forms of values. Each throws <see cref="FormatException"/> with what is wrong and what to do.</summary>
internal static class Quantities
{
    public const string DurationForm = "a duration with its unit, as \"500ms\", \"2s\" or \"1m\"";
    public const string MemoryForm = "a size with its unit, as \"4G\" or \"4096M\"";

    public static TimeSpan Duration(string text, TimeSpan min, TimeSpan max)
    {
        var digits = text.TakeWhile(char.IsAsciiDigit).Count();
        if (!long.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > 1_000_000_000)
            throw new FormatException($"'{text}' is no duration; write {DurationForm}");
        var value = text[digits..].Trim() switch
        {
            "ms" => TimeSpan.FromMilliseconds(number),
            "s" => TimeSpan.FromSeconds(number),
            "m" => TimeSpan.FromMinutes(number),
            _ => throw new FormatException($"'{text}' is no duration; write {DurationForm}"),
        };
        return value >= min && value <= max ? value : throw new FormatException($"'{text}' is out of range; write {Written(min)} to {Written(max)}");
    }

    /// <summary>As <see cref="Duration"/> reads it.</summary>
    public static string Written(TimeSpan value) => value.Ticks % TimeSpan.TicksPerSecond != 0 ? $"{(long)value.TotalMilliseconds}ms"
        : value.Ticks % TimeSpan.TicksPerMinute != 0 || value == TimeSpan.Zero ? $"{(long)value.TotalSeconds}s"
        : $"{(long)value.TotalMinutes}m";

    /// <summary>Mebibytes; every unit is a power of 1024.</summary>
    public static int MemoryMiB(string text)
    {
        const int Min = 64, Max = 16 << 20;
        var digits = text.TakeWhile(char.IsAsciiDigit).Count();
        var unit = text[digits..].Trim() switch
        {
            "M" or "MiB" => 1L,
            "G" or "GiB" => 1L << 10,
            "T" or "TiB" => 1L << 20,
            _ => throw new FormatException($"'{text}' is no size; write {MemoryForm}"),
        };
        if (!int.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            throw new FormatException($"'{text}' is no size; write {MemoryForm}");
        return number * unit is >= Min and <= Max ? (int)(number * unit) : throw new FormatException($"'{text}' is out of range; write 64M to 16T");
    }

    public static string AbsolutePath(string text) =>
        text.StartsWith('/') && !text.Contains('\0', StringComparison.Ordinal) && !text.Contains('\n', StringComparison.Ordinal)
            ? text
            : throw new FormatException($"'{text}' is no absolute path; write the whole path, beginning with '/'");

    /// <summary>An address of this host that guests connect to.</summary>
    public static IPEndPoint ListenEndPoint(string text)
    {
        if (!IPEndPoint.TryParse(text, out var endPoint) || endPoint.Port == 0)
            throw new FormatException($"'{text}' is no address and port; write it as 192.168.1.10:7443 or [fd00::10]:7443");
        var address = endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
        // The guest is bridged, so the whole LAN would reach a port that is open on every address, and so would any other network.
        if (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
            throw new FormatException($"'{text}' would open the port on every network of this computer; write the address that the guest reaches, as that of the bridge");
        if (address.IsIPv6Multicast || (address.AddressFamily == AddressFamily.InterNetwork && address.GetAddressBytes()[0] >= 224))
            throw new FormatException($"'{text}' is a group address; write the address of this computer that the guest reaches");
        return new(address, endPoint.Port);
    }

    /// <summary>What a guest connects to: an address or a host name, and a port.</summary>
    public static string Advertised(string text)
    {
        if (IPEndPoint.TryParse(text, out _)) return ListenEndPoint(text).ToString();
        var colon = text.LastIndexOf(':');
        return colon > 0 && Uri.CheckHostName(text[..colon]) == UriHostNameType.Dns &&
            ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port > 0
            ? text
            : throw new FormatException($"'{text}' is no address and port; write it as 192.168.1.10:7443 or myhost.lan:7443");
    }

    public static PhysicalAddress Mac(string text)
    {
        var parts = text.Split(':');
        if (parts.Length != 6 || !parts.All(part => part.Length == 2) || !PhysicalAddress.TryParse(text, out var mac))
            throw new FormatException($"'{text}' is no MAC address; write it as 52:54:00:12:34:56");
        return (mac.GetAddressBytes()[0] & 1) == 0
            ? mac
            : throw new FormatException($"'{text}' is a group address, which no network card can have; begin it with 52:54:00");
    }
}
