using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>A string and where it is written.</summary>
internal readonly record struct PlacedText(string Value, Place Place);

/// <summary>
/// Reads one table by its keys. A wrong value is an error and reads as the fallback, so that reading goes on and finds the
/// next error. <see cref="Finish"/> tells keys that nobody asked for.
/// </summary>
internal sealed class TableReader(TomlTable table, string path, ConfigurationErrors errors)
{
    private readonly HashSet<string> _known = [];

    public Place Place => table.Place;

    public string Path => path;

    public bool Has(string key) => Find(key) is not null;

    /// <summary>Adds an error about a key, at its value; at the table where the key is absent.</summary>
    public void Fail(string key, string problem) => errors.Add(Find(key)?.Place ?? table.Place, PathOf(key), problem);

    public void Fail(string key, Place place, string problem) => errors.Add(place, PathOf(key), problem);

    public string Text(string key, string fallback) => Read(key, fallback, text => text);

    public T Read<T>(string key, T fallback, Func<string, T> parse, string expected = "a string in quotes")
    {
        if (Find(key) is not { } node) return fallback;
        if (node is not TomlText text) return WrongKind(key, node, expected, fallback);
        return TryParse(key, new(text.Value, text.Place), parse, out var value) ? value : fallback;
    }

    /// <summary>Like <see cref="Read{T}"/>, but the key must be there.</summary>
    public T Require<T>(string key, T fallback, Func<string, T> parse, string expected)
    {
        if (!Has(key)) Fail(key, $"is missing; write {expected}");
        return Read(key, fallback, parse, expected);
    }

    public int Integer(string key, int fallback, int min, int max)
    {
        if (Find(key) is not { } node) return fallback;
        if (node is not TomlInteger integer) return WrongKind(key, node, "a number without quotes", fallback);
        if (integer.Value >= min && integer.Value <= max) return (int)integer.Value;
        Fail(key, $"is {integer.Value}; write a number from {min} to {max}");
        return fallback;
    }

    public bool Flag(string key, bool fallback) => Find(key) switch
    {
        null => fallback,
        TomlBoolean boolean => boolean.Value,
        var node => WrongKind(key, node, "true or false without quotes", fallback),
    };

    /// <summary>One of a few words.</summary>
    public T Word<T>(string key, T fallback, params ReadOnlySpan<(string Word, T Value)> words)
    {
        var choices = words.ToArray();
        return Read(key, fallback, Choose, $"one of {Listed(choices.Select(pair => pair.Word))}");

        T Choose(string text)
        {
            foreach (var (word, value) in choices)
                if (word == text) return value;
            throw new FormatException($"'{text}' is unknown; write one of {Listed(choices.Select(pair => pair.Word))}");
        }
    }

    /// <summary>An array of strings; empty when absent.</summary>
    public ImmutableArray<PlacedText> Texts(string key)
    {
        if (Find(key) is not { } node) return [];
        if (node is not TomlArray array) return WrongKind<ImmutableArray<PlacedText>>(key, node, "an array of strings ([\"…\"])", []);
        foreach (var item in array.Items.Where(item => item is not TomlText))
            errors.Add(item.Place, PathOf(key), $"holds {item.Kind}; write an array of strings ([\"…\"])");
        return [.. array.Items.OfType<TomlText>().Select(text => new PlacedText(text.Value, text.Place))];
    }

    /// <summary>An array of strings that are parsed one by one; those that don't parse are errors and left out.</summary>
    public ImmutableArray<T> List<T>(string key, Func<string, T> parse)
    {
        var values = ImmutableArray.CreateBuilder<T>();
        var seen = new HashSet<string>();
        foreach (var text in Texts(key))
        {
            if (!TryParse(key, text, parse, out var value)) continue;
            if (!seen.Add(text.Value) || values.Contains(value)) Fail(key, text.Place, $"'{text.Value}' is there twice; remove one");
            else values.Add(value);
        }

        return values.DrainToImmutable();
    }

    /// <summary>The table below a key; an empty one when absent.</summary>
    public TableReader Table(string key)
    {
        var inner = Find(key) switch
        {
            null => new TomlTable(table.Place),
            TomlTable found => found,
            var node => WrongKind(key, node, $"a table ([{PathOf(key)}])", new TomlTable(node.Place)),
        };
        return new(inner, PathOf(key), errors);
    }

    /// <summary>The named tables below a key, as those of <c>[machine.NAME]</c>, in the order of the file.</summary>
    public IEnumerable<(PlacedText Name, TableReader Table)> Named(string key)
    {
        var outer = Table(key);
        foreach (var name in outer.Keys)
        {
            if (outer.Find(name) is TomlTable) yield return (new(name, outer.PlaceOf(name)), outer.Table(name));
            else outer.Fail(name, outer.PlaceOf(name), $"is no table; write [{PathOf(key)}.NAME] and the keys below it");
        }
    }

    /// <summary>The tables of an array, as those of <c>[[hotkey]]</c>.</summary>
    public IEnumerable<TableReader> Each(string key, string expected)
    {
        var items = Find(key) switch
        {
            null => [],
            TomlArray array => array.Items,
            var node => WrongKind<List<TomlNode>>(key, node, expected, []),
        };
        foreach (var (i, item) in items.Index())
        {
            if (item is TomlTable one) yield return new(one, $"{PathOf(key)}[{i}]", errors);
            else errors.Add(item.Place, PathOf(key), $"holds {item.Kind}; write {expected}");
        }
    }

    /// <summary>Reports the keys that nobody asked for.</summary>
    public void Finish()
    {
        foreach (var (key, entry) in table.Entries.Where(pair => !_known.Contains(pair.Key)))
        {
            var hint = Spelling.Hint(key, _known);
            errors.Add(entry.Place, PathOf(key), $"is no key that belongs here{(hint.Length > 0 ? hint : $"; the keys are {string.Join(", ", _known.Order())}")}");
        }
    }

    private ImmutableArray<string> Keys => table.Keys;

    private static string Listed(IEnumerable<string> words) => string.Join(", ", words.Select(word => $"\"{word}\""));

    private Place PlaceOf(string key) => table.Entries[key].Place;

    private string PathOf(string key) => path.Length == 0 ? key : key.Length == 0 ? path : $"{path}.{key}";

    private TomlNode? Find(string key)
    {
        _known.Add(key);
        return table.Entries.TryGetValue(key, out var entry) ? entry.Value : null;
    }

    private T WrongKind<T>(string key, TomlNode node, string expected, T fallback)
    {
        errors.Add(node.Place, PathOf(key), $"is {node.Kind}; write {expected}");
        return fallback;
    }

    private bool TryParse<T>(string key, PlacedText text, Func<string, T> parse, out T value)
    {
        try
        {
            value = parse(text.Value);
            return true;
        }
        catch (FormatException e)
        {
            Fail(key, text.Place, e.Message);
            value = default!;
            return false;
        }
    }
}
