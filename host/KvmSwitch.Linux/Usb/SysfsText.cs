using System.Text;

namespace KvmSwitch.Linux;

/// <summary>Reads attributes of sysfs. What a device tells about itself is a stranger's text: bounded, and freed of what could spoil a terminal or a log.</summary>
internal static class SysfsText
{
    // A USB string descriptor has 126 UTF-16 units at most; in UTF-8 none takes more than 3 bytes.
    private const int MaxBytes = 126 * 3;

    /// <summary>Null when there is no such attribute, or the device has just gone.</summary>
    public static string? Read(string directory, string attribute)
    {
        try
        {
            using var file = File.OpenHandle(Path.Combine(directory, attribute));
            var bytes = new byte[MaxBytes];
            return Clean(Encoding.UTF8.GetString(bytes.AsSpan(0, RandomAccess.Read(file, bytes, 0))));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The last part of a symbolic link's target; null when there is no link.</summary>
    public static string? LinkName(string directory, string link)
    {
        try
        {
            return Path.GetFileName(new FileInfo(Path.Combine(directory, link)).LinkTarget);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    internal static string Clean(string text) => string.Concat(
        text.EnumerateRunes().Where(rune => !Rune.IsControl(rune) && Rune.GetUnicodeCategory(rune) is not (
            System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator or
            System.Globalization.UnicodeCategory.ParagraphSeparator)).Take(126));
}
