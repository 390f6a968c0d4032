namespace KvmSwitch.Linux;

/// <summary>What a message bus accepts as a name or text (dbus.freedesktop.org/doc/dbus-specification.html): it hangs up on whoever sends another.</summary>
internal static class BusGrammar
{
    private const int LongestName = 255;

    /// <exception cref="ArgumentException">D-Bus allows no such call.</exception>
    public static void Check(MethodCall call)
    {
        if (!IsPath(call.Path) || !IsElement(call.Member, "") || !IsDotted(call.Interface, "") || !IsDotted(call.Destination, "-"))
        {
            throw new ArgumentException($"D-Bus allows no such call: {call} of {call.Destination} at {call.Path}", nameof(call));
        }

        foreach (var argument in call.Arguments) Check(argument);
    }

    private static void Check(BusValue value)
    {
        switch (value)
        {
            case BusValue.Text text when text.Value.Contains('\0', StringComparison.Ordinal):
            case BusValue.Sequence sequence when sequence.Items.Any(item => item.Signature != sequence.ItemSignature):
                throw new ArgumentException($"D-Bus allows no such value: {value}", nameof(value));
            case BusValue.Sequence sequence:
                foreach (var item in sequence.Items) Check(item);
                break;
            case BusValue.Entry entry:
                Check(entry.Key);
                Check(entry.Value);
                break;
            case BusValue.Variant variant:
                Check(variant.Value);
                break;
        }
    }

    private static bool IsPath(string path) => path == "/" || (path.StartsWith('/') && path[1..].Split('/').All(element => IsElement(element, "0123456789")));

    private static bool IsDotted(string name, string further) =>
        name.Length <= LongestName && name.Split('.') is { Length: > 1 } elements && elements.All(element => IsElement(element, further));

    /// <param name="further">Letters that may stand here too. Digits may stand anywhere but first.</param>
    private static bool IsElement(string element, string further) =>
        element.Length is > 0 and <= LongestName
        && (!char.IsAsciiDigit(element[0]) || further.Contains(element[0], StringComparison.Ordinal))
        && element.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_' || further.Contains(letter, StringComparison.Ordinal));
}
