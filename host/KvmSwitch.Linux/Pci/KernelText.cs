using System.Text;

namespace KvmSwitch.Linux;

/// <summary>Reads tables of /proc and long attributes of sysfs, bounded.</summary>
internal static class KernelText
{
    private const int MaxBytes = 4 << 20;

    /// <summary>The lines; none when the file can't be read.</summary>
    public static string[] Lines(string path)
    {
        using var file = Libc.Open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (file.IsInvalid) return [];
        var bytes = new byte[16 * 1024];
        using var content = new MemoryStream();
        while (content.Length < MaxBytes && Libc.Read(file, bytes, bytes.Length) is > 0 and var count) content.Write(bytes, 0, (int)count);
        return Encoding.UTF8.GetString(content.GetBuffer(), 0, (int)content.Length).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>Blanks, tabs, newlines and backslashes are octal there, as <c>\040</c> (fs/seq_file.c).</summary>
    public static string Unescape(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal)) return text;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 3 < text.Length && Octal(text.AsSpan(i + 1, 3)) is { } letter)
            {
                result.Append(letter);
                i += 3;
            }
            else
            {
                result.Append(text[i]);
            }
        }

        return result.ToString();
    }

    private static char? Octal(ReadOnlySpan<char> digits) =>
        digits.ContainsAnyExceptInRange('0', '7') ? null : (char)(((digits[0] - '0') * 64) + ((digits[1] - '0') * 8) + digits[2] - '0');
}
