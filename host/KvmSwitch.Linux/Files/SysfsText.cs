using System.Text;

namespace KvmSwitch.Linux;

/// <summary>Reads attributes of sysfs. What a device tells about itself is a stranger's text: bounded, and freed of what could spoil a terminal or a log.</summary>
internal static class SysfsText
{
    // A USB string descriptor has 126 UTF-16 units at most; in UTF-8 none takes more than 3 bytes.
    private const int MaxLength = 126;
    private const int MaxBytes = MaxLength * 3;

    /// <summary>Null when there is no such attribute, or the device has just gone.</summary>
    public static string? Read(string directory, string attribute)
    {
        // Not by File, which makes twice as many system calls and an exception of each attribute that isn't there: a look at the host reads hundreds.
        using var file = Libc.Open(Path.Combine(directory, attribute), Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (file.IsInvalid) return null;
        Span<byte> bytes = stackalloc byte[MaxBytes];
        var count = Libc.Read(file, bytes, bytes.Length);
        return count < 0 ? null : Clean(Encoding.UTF8.GetString(bytes[..(int)count]));
    }

    /// <summary>The last part of a symbolic link's target; null when there is no link.</summary>
    public static string? LinkName(string directory, string link) =>
        SysfsPath.TargetOf(Path.Combine(directory, link)) is { Length: > 0 } target ? Path.GetFileName(target) : null;

    internal static string Clean(string text) => text.TrimEnd('\n') is var line && IsPlain(line) ? line : string.Concat(
        text.EnumerateRunes().Where(rune => !Rune.IsControl(rune) && Rune.GetUnicodeCategory(rune) is not (
            System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator or
            System.Globalization.UnicodeCategory.ParagraphSeparator)).Take(MaxLength));

    private static bool IsPlain(string text) => text.Length <= MaxLength && !text.AsSpan().ContainsAnyExceptInRange(' ', '~');
}
