using System.Collections.Immutable;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Where something is written, both from 1.</summary>
internal readonly record struct Place(int Line, int Column);

/// <summary>A value of a TOML file, with its place.</summary>
/// <param name="Kind">For people: <c>a string</c>.</param>
internal abstract record TomlNode(Place Place, string Kind);

internal sealed record TomlText(Place Place, string Value) : TomlNode(Place, "a string");

internal sealed record TomlInteger(Place Place, long Value) : TomlNode(Place, "a number");

internal sealed record TomlBoolean(Place Place, bool Value) : TomlNode(Place, "true or false");

/// <summary>A kind of value that no key takes: a float or a date.</summary>
internal sealed record TomlOther(Place Place, string Kind) : TomlNode(Place, Kind);

/// <summary>An array, or the tables of one <c>[[name]]</c>.</summary>
internal sealed record TomlArray(Place Place, List<TomlNode> Items, bool IsTables) : TomlNode(Place, "an array");

/// <summary>A table. Keeps the order of the file.</summary>
/// <param name="IsClosed">An inline table: nothing can be added to it elsewhere.</param>
internal sealed record TomlTable(Place Place, bool IsClosed = false) : TomlNode(Place, "a table")
{
    public OrderedDictionary<string, TomlEntry> Entries { get; } = [];

    /// <summary>It had its own <c>[header]</c>, which it may have once.</summary>
    public bool HasHeader { get; set; }

    public ImmutableArray<string> Keys => [.. Entries.Keys];
}

/// <param name="Place">Of the key.</param>
internal sealed record TomlEntry(Place Place, TomlNode Value);
