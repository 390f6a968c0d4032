using System.Globalization;
using System.Text;

namespace KvmSwitch.Agent.Linux;

/// <summary>Reads sysfs attributes. What a device says about itself is not trusted: bounded, without control characters.</summary>
internal static class SysfsText
{
    private const int Longest = 512;

    /// <summary>The attribute's text, empty when it is missing or the device left meanwhile.</summary>
    public static string Read(string directory, string attribute) => Clean(Encoding.UTF8.GetString(ReadBytes(directory, attribute)));

    /// <summary>The beginning of a binary attribute, empty when it is missing or the device left meanwhile.</summary>
    public static byte[] ReadBytes(string directory, string attribute)
    {
        try
        {
            using var file = File.OpenHandle(Path.Combine(directory, attribute));
            var buffer = new byte[Longest];
            return buffer[..RandomAccess.Read(file, buffer, 0)];
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>A number of 16 bits in hexadecimal, as <c>idVendor</c>; null when it is none.</summary>
    public static ushort? ReadHex(string directory, string attribute) =>
        ushort.TryParse(Read(directory, attribute), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>A number as C writes it, <c>0x0c0330</c>, as PCI's <c>class</c>; null when it is none or above <paramref name="most"/>.</summary>
    public static uint? ReadC(string directory, string attribute, uint most) =>
        Read(directory, attribute) is ['0', 'x', .. var digits]
        && uint.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
        && number <= most ? number : null;

    /// <summary>A decimal number, as <c>devnum</c>; null when it is none.</summary>
    public static int? ReadNumber(string directory, string attribute) =>
        int.TryParse(Read(directory, attribute), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Without control characters, and without spaces around it.</summary>
    public static string Clean(string text) => string.Concat(text.Where(one => !char.IsControl(one))).Trim();
}
