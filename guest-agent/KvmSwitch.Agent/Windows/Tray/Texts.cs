using System.Globalization;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>
/// The texts of one language, from an embedded file of lines <c>Key=Value</c>: <c>\n</c> breaks a line, <c>#</c> begins a comment. Not a .resx, since
/// these need cultures, which this program is published without.
/// </summary>
internal sealed class Texts
{
    public const string Default = "en";
    private const string Prefix = "texts.";

    private readonly Dictionary<string, string> values;

    private Texts(string language, Dictionary<string, string> values) => (Language, this.values) = (language, values);

    /// <summary>Two-letter codes (ISO 639-1) of the languages that there are.</summary>
    public static IReadOnlyList<string> Languages { get; } =
        [.. typeof(Texts).Assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Select(name => name[Prefix.Length..]).Order(StringComparer.Ordinal)];

    public string Language { get; }

    /// <summary>The keys that the file has.</summary>
    public IReadOnlyCollection<string> Keys => values.Keys;

    public string this[TextKey key] => values[key.ToString()];

    /// <summary>A text with its blanks filled in.</summary>
    public string this[TextKey key, params object?[] blanks] => string.Format(CultureInfo.InvariantCulture, values[key.ToString()], blanks);

    /// <param name="language">A two-letter code. One that there isn't is English.</param>
    public static Texts Load(string language)
    {
        var known = Languages.Contains(language) ? language : Default;
        using var stream = typeof(Texts).Assembly.GetManifestResourceStream(Prefix + known)!;
        using var reader = new StreamReader(stream);
        var read = new Dictionary<string, string>(StringComparer.Ordinal);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#') || line.IndexOf('=', StringComparison.Ordinal) is not (> 0 and var split))
                continue;
            read.Add(line[..split], line[(split + 1)..].Replace("\\n", "\n", StringComparison.Ordinal));
        }

        return new(known, read);
    }

    /// <summary>The language of a Windows LANGID, whose low ten bits are the primary language ([MS-LCID]).</summary>
    public static string LanguageOf(ushort languageId) => (languageId & 0x3ff) == 0x11 ? "ja" : Default;
}
