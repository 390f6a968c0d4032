using Tomlyn;
using Tomlyn.Parsing;
using Tomlyn.Syntax;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Turns TOML text into nodes with places. Mistakes in the writing, and keys defined twice, are collected.</summary>
internal sealed class TomlTree(ConfigurationErrors errors)
{
    private readonly TomlTable _root = new(new(1, 1));

    /// <exception cref="ConfigurationException">The text is no TOML.</exception>
    public static TomlTable Read(string text, string file, ConfigurationErrors errors)
    {
        DocumentSyntax document;
        try
        {
            document = SyntaxParser.Parse(text, file, validate: false);
        }
        catch (TomlException e)
        {
            throw new ConfigurationException([new(file, 0, 0, "", $"The file is no TOML that can be read: {e.Message}")], e);
        }

        catch (ArgumentOutOfRangeException e)
        {
            // Tomlyn 2.10.2 trips over the end of the file after a backslash instead of reporting it.
            throw new ConfigurationException([new(file, 0, 0, "", "The file ends inside a string; close the string's quotes.")], e);
        }

        foreach (var message in document.Diagnostics)
            errors.Add(PlaceOf(message.Span), "", $"{message.Message.Replace("␤", "\\n", StringComparison.Ordinal)}; correct the TOML here");
        // A tree with holes would only give errors that follow from these.
        errors.ThrowIfAny();
        var tree = new TomlTree(errors);
        tree.AddAll(tree._root, document.KeyValues, "");
        foreach (var table in document.Tables) tree.AddTable(table);
        return tree._root;
    }

    private static Place PlaceOf(SourceSpan span) => new(span.Start.Line + 1, span.Start.Column + 1);

    private static List<(string Name, Place Place)> Parts(KeySyntax key) =>
    [
        Part(key.Key!),
        .. key.DotKeys.Select(item => Part(item.Key!)),
    ];

    private static (string Name, Place Place) Part(BareKeyOrStringValueSyntax part) =>
        (part is StringValueSyntax text ? text.Value ?? "" : ((BareKeySyntax)part).Key?.Text ?? "", PlaceOf(part.Span));

    private void AddTable(TableSyntaxBase syntax)
    {
        var parts = Parts(syntax.Name!);
        var path = string.Join('.', parts.Select(part => part.Name));
        var (last, place) = parts[^1];
        if (Descend(_root, parts[..^1], path) is not { } parent) return;
        var table = new TomlTable(place) { HasHeader = true };
        if (!parent.Entries.TryGetValue(last, out var existing))
            parent.Entries.Add(last, new(place, syntax is TableArraySyntax ? new TomlArray(place, [table], IsTables: true) : table));
        else if (syntax is TableArraySyntax && existing.Value is TomlArray { IsTables: true } array) array.Items.Add(table);
        else if (syntax is TableSyntax && existing.Value is TomlTable { HasHeader: false, IsClosed: false } implied)
        {
            table = implied;
            table.HasHeader = true;
        }
        else AddTwice(place, path, existing);

        AddAll(table, syntax.Items, path);
    }

    private void AddAll(TomlTable table, SyntaxList<KeyValueSyntax> items, string path)
    {
        foreach (var item in items) Add(table, item, path);
    }

    private void Add(TomlTable table, KeyValueSyntax item, string path)
    {
        var parts = Parts(item.Key!);
        var full = string.Join('.', parts.Select(part => part.Name).Prepend(path).Where(part => part.Length > 0));
        if (Descend(table, parts[..^1], full) is not { } parent) return;
        var (name, place) = parts[^1];
        if (parent.Entries.TryGetValue(name, out var existing)) AddTwice(place, full, existing);
        else parent.Entries.Add(name, new(place, Value(item.Value!, full)));
    }

    private TomlTable? Descend(TomlTable table, IEnumerable<(string Name, Place Place)> parts, string path)
    {
        foreach (var (name, place) in parts)
        {
            if (!table.Entries.TryGetValue(name, out var entry)) table.Entries.Add(name, entry = new(place, new TomlTable(place)));
            if ((entry.Value is TomlArray { IsTables: true } array ? array.Items[^1] : entry.Value) is not TomlTable { IsClosed: false } next)
            {
                AddTwice(place, path, entry);
                return null;
            }

            table = next;
        }

        return table;
    }

    private void AddTwice(Place place, string path, TomlEntry first) =>
        errors.Add(place, path, $"is defined already in line {first.Place.Line}; keep one of the two");

    private TomlNode Value(ValueSyntax syntax, string path)
    {
        var place = PlaceOf(syntax.Span);
        switch (syntax)
        {
            case StringValueSyntax text: return new TomlText(place, text.Value ?? "");
            case IntegerValueSyntax integer: return new TomlInteger(place, integer.Value);
            case BooleanValueSyntax boolean: return new TomlBoolean(place, boolean.Value);
            case ArraySyntax array: return new TomlArray(place, [.. array.Items.Select(item => Value(item.Value!, path))], IsTables: false);
            case InlineTableSyntax inline:
                var table = new TomlTable(place);
                foreach (var item in inline.Items) Add(table, item.KeyValue!, path);
                return table with { IsClosed = true };
            default: return new TomlOther(place, syntax is FloatValueSyntax ? "a number with a point" : "a date or time");
        }
    }
}
