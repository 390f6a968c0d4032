using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>One position of a chord: any of the codes satisfies it (left or right Ctrl).</summary>
/// <param name="Name">Canonical: <c>ctrl</c>, or the kernel's name in lower case.</param>
/// <param name="Codes">Evdev key codes (linux/input-event-codes.h), one or two.</param>
public sealed record ChordKey(string Name, ImmutableArray<int> Codes)
{
    private static readonly ImmutableArray<int> ModifierCodes = [29, 97, 56, 100, 42, 54, 125, 126];

    public bool IsModifier => ModifierCodes.Contains(Codes[0]);

    /// <summary>Keys that people press while they type: alone they are no hotkey.</summary>
    internal bool IsTyping => Codes[0] is (>= 2 and <= 53 and not 29 and not 42) or 57 or (>= 102 and <= 111 and not 110) or 55 or (>= 71 and <= 83) or 86 or 96 or 98;

    public bool Equals(ChordKey? other) => other?.Name == Name;

    public override int GetHashCode() => Name.GetHashCode(StringComparison.Ordinal);
}

/// <summary>
/// Keys held together, written <c>ctrl+alt+shift+h</c>; or the same keys tapped twice, written twice with a space between:
/// <c>rightctrl rightctrl</c>. Equal when they mean the same keys, in whatever order.
/// </summary>
public sealed record Chord
{
    /// <summary>More keys than many keyboards report at once.</summary>
    public const int MaxKeys = 6;

    /// <summary>
    /// In a double tap: from the first press to the second at most, and from each press until all keys are up again at most.
    /// </summary>
    public static readonly TimeSpan TapTime = TimeSpan.FromMilliseconds(400);

    private static readonly ImmutableArray<string> ModifierOrder = ["ctrl", "leftctrl", "rightctrl", "alt", "leftalt", "rightalt", "shift", "leftshift", "rightshift"];

    private readonly string _text;

    private Chord(IEnumerable<ChordKey> keys, bool isDoubleTap)
    {
        IsDoubleTap = isDoubleTap;
        Keys = [.. keys.OrderBy(key => !key.IsModifier).ThenBy(key => (uint)ModifierOrder.IndexOf(key.Name)).ThenBy(key => key.Codes[0])];
        var text = string.Join('+', Keys.Select(key => key.Name));
        _text = isDoubleTap ? $"{text} {text}" : text;
    }

    /// <summary>The keys are tapped twice, with nothing in between.</summary>
    public bool IsDoubleTap { get; }

    /// <summary>Modifiers first.</summary>
    public ImmutableArray<ChordKey> Keys { get; }

    /// <exception cref="FormatException">An unknown key, one key twice, too few or too many keys, two taps of different keys.</exception>
    public static Chord Parse(string text) => Taps(text) switch
    {
        [var keys] => new(ReadKeys(keys, mayBeModifier: false), isDoubleTap: false),
        [var first, var second] => DoubleTap(text, ReadKeys(first, mayBeModifier: true), ReadKeys(second, mayBeModifier: true)),
        _ => throw new FormatException($"'{text}' is more than a double tap; write the keys once, or twice with a space between (rightctrl rightctrl)"),
    };

    public static bool TryParse(string? text, out Chord? result)
    {
        try
        {
            result = text is null ? null : Parse(text);
        }
        catch (FormatException)
        {
            result = null;
        }

        return result is not null;
    }

    public bool Equals(Chord? other) => other?._text == _text;

    public override int GetHashCode() => _text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => _text;

    /// <summary>A space parts two taps, but not beside a '+', where people write it for looks.</summary>
    private static string[] Taps(string text) =>
        string.Join('+', text.Split('+', StringSplitOptions.TrimEntries)).Split(' ', StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } taps ? taps : [""];

    private static Chord DoubleTap(string text, List<ChordKey> first, List<ChordKey> second)
    {
        var chord = new Chord(first, isDoubleTap: true);
        return chord == new Chord(second, isDoubleTap: true)
            ? chord
            : throw new FormatException($"'{text}' taps different keys; a double tap is the same keys twice (rightctrl rightctrl); keys held together are joined by '+'");
    }

    private static List<ChordKey> ReadKeys(string text, bool mayBeModifier)
    {
        var keys = text.Split('+', StringSplitOptions.TrimEntries).Select(ParseKey).ToList();
        if (keys.Count > MaxKeys) throw new FormatException($"'{text}' has more than {MaxKeys} keys, which many keyboards can't report at once");
        foreach (var (i, key) in keys.Index())
        {
            if (keys.Take(i).FirstOrDefault(other => other.Codes.Intersect(key.Codes).Any()) is { } twin)
                throw new FormatException($"'{text}' has one key twice: {(twin == key ? key.Name : $"{twin.Name} and {key.Name}")}");
        }

        if (keys is [{ IsModifier: true }] && !mayBeModifier)
            throw new FormatException($"'{text}' is a single modifier; add another key, or tap it twice ({text} {text})");
        if (keys is [{ IsTyping: true }]) throw new FormatException($"'{text}' alone is pressed while typing; add a modifier (ctrl+alt+{text})");
        return keys;
    }

    private static ChordKey ParseKey(string word) => word.Length == 0
        ? throw new FormatException("a chord is keys joined by '+', as ctrl+alt+h")
        : KeyCodes.Find(word) ?? throw new FormatException($"there is no key '{word}'{Spelling.Hint(word, KeyCodes.Words)}");
}
