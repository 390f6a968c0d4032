namespace KvmSwitch.Cli.Output;

/// <summary>Words that came from elsewhere, made safe for a terminal.</summary>
internal static class Plain
{
    /// <summary>The text without control characters: a guest's name must not steer our user's terminal. Line ends become spaces.</summary>
    public static string Text(string text) => text.Any(char.IsControl)
        ? string.Concat(text.Select(letter => letter is '\n' or '\t' ? ' ' : char.IsControl(letter) ? '\ufffd' : letter))
        : text;
}
