using System.Text;

namespace KvmSwitch.Linux;

/// <summary>
/// Names in files of procfs. They are bytes, of which the kernel writes some as <c>\040</c> (seq_path of fs/seq_file.c); here each
/// byte is one character, so that the name can be given back to the kernel as it was.
/// </summary>
internal static class ProcText
{
    // A host has some hundred mounts; one of many thousand is cut, and what can't be seen is caught when the device is claimed.
    private const int MaxBytes = 8 << 20;

    /// <summary>Lines, one character for each byte. Empty when there is no such file, or it may not be read.</summary>
    public static string[] Lines(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            using var bounded = new MemoryStream();
            var buffer = new byte[64 * 1024];
            for (var read = file.Read(buffer); read > 0 && bounded.Length < MaxBytes; read = file.Read(buffer)) bounded.Write(buffer, 0, read);
            return Encoding.Latin1.GetString(bounded.GetBuffer(), 0, (int)bounded.Length).Split('\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Takes back <c>\ooo</c>. A backslash that begins nothing of the kind stays.</summary>
    public static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal)) return field;
        var text = new StringBuilder(field.Length);
        for (var i = 0; i < field.Length; i++)
        {
            if (field[i] == '\\' && i + 3 < field.Length && Octal(field.AsSpan(i + 1, 3)) is { } value)
            {
                text.Append((char)value);
                i += 3;
            }
            else
            {
                text.Append(field[i]);
            }
        }

        return text.ToString();
    }

    /// <summary>For the kernel, ended by NUL.</summary>
    public static byte[] Bytes(string raw) => Encoding.Latin1.GetBytes(raw + '\0');

    /// <summary>For people.</summary>
    public static string Readable(string raw) => SysfsText.Clean(Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(raw)));

    private static int? Octal(ReadOnlySpan<char> digits) =>
        digits[0] is >= '0' and <= '3' && digits[1] is >= '0' and <= '7' && digits[2] is >= '0' and <= '7'
            ? ((digits[0] - '0') * 64) + ((digits[1] - '0') * 8) + (digits[2] - '0')
            : null;
}
