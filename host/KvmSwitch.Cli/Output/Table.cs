using System.Text;

namespace KvmSwitch.Cli.Output;

/// <summary>Where text goes.</summary>
/// <param name="Width">Columns to keep to; null for no limit.</param>
/// <param name="Colour">Whether colours may be used.</param>
internal readonly record struct TextLayout(int? Width, bool Colour);

internal enum Ink
{
    None = 0,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Dim = 2,
}

internal readonly record struct Cell(string Text, Ink Ink = Ink.None)
{
    public static implicit operator Cell(string text) => new(text);

    public string Painted(string text, bool colour) => colour && Ink != Ink.None && text.Length > 0 ? $"\e[{(int)Ink}m{text}\e[0m" : text;
}

/// <summary>Columns two spaces apart; a title that starts with <c>&gt;</c> aligns right. The last column takes the rest of the line, and wraps.</summary>
internal sealed class Table(params string[] titles)
{
    private const int Gap = 2;
    private const int NarrowestLast = 16;

    private readonly List<Cell[]> rows = [];

    public bool IsEmpty => rows.Count == 0;

    public void Add(params Cell[] cells) => rows.Add([.. cells.Select(cell => cell with { Text = Plain.Text(cell.Text) })]);

    public string Render(TextLayout layout)
    {
        var header = titles.Select(title => new Cell(title.TrimStart('>'), Ink.Dim)).ToArray();
        var widths = titles.Select((_, column) => rows.Append(header).Max(row => Width(row[column].Text))).ToArray();
        var text = new StringBuilder();
        foreach (var row in rows.Prepend(header))
        {
            Append(text, row, widths, layout);
        }

        return text.ToString();
    }

    private void Append(StringBuilder text, Cell[] row, int[] widths, TextLayout layout)
    {
        var last = row.Length - 1;
        var before = widths.Take(last).Sum(width => width + Gap);
        var room = layout.Width - before;
        var lines = room >= NarrowestLast ? Wrap(row[last].Text, room.Value) : [row[last].Text];
        var line = new StringBuilder();
        for (var column = 0; column < last; column++)
        {
            var padding = new string(' ', widths[column] - Width(row[column].Text));
            var painted = row[column].Painted(row[column].Text, layout.Colour);
            line.Append(titles[column][0] == '>' ? padding + painted : painted + padding).Append(' ', Gap);
        }

        foreach (var part in lines)
        {
            text.Append(line.Append(row[last].Painted(part, layout.Colour)).ToString().TrimEnd()).Append('\n');
            line.Clear().Append(' ', before);
        }
    }

    private static List<string> Wrap(string text, int room)
    {
        List<string> lines = [""];
        foreach (var word in text.Split(' '))
        {
            if (lines[^1].Length > 0 && Width(lines[^1]) + 1 + Width(word) > room)
            {
                lines.Add(word);
            }
            else
            {
                lines[^1] += lines[^1].Length > 0 ? " " + word : word;
            }
        }

        return lines;
    }

    private static int Width(string text) => text.EnumerateRunes().Count();
}
