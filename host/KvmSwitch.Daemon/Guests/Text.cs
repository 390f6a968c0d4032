namespace KvmSwitch.Daemon.Guests;

/// <summary>Text from a guest, before it meets a log, a terminal or a file.</summary>
internal static class Text
{
    /// <summary>Without control characters, and cut to a length.</summary>
    public static string Clean(string text, int maxLength)
    {
        var end = Math.Min(text.Length, maxLength);
        if (end < text.Length && end > 0 && char.IsHighSurrogate(text[end - 1])) end--;
        return string.Create(end, text, (span, source) =>
        {
            for (var i = 0; i < span.Length; i++) span[i] = char.IsControl(source[i]) ? '?' : source[i];
        });
    }
}
