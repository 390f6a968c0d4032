using System.Globalization;
using System.Text;
using System.Text.Json;
using Spectre.Console;

namespace KvmSwitch.Benchmarks;

/// <summary>A group of lines that were measured together.</summary>
internal sealed record Section(string Title, IReadOnlyList<Row> Rows);

/// <summary>What a run tells.</summary>
internal static class Report
{
    public static void Print(IEnumerable<Section> sections)
    {
        // A pipe has no width, and a table that is cut to 80 columns can't be read.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 180;
        var table = new Table { Border = TableBorder.Ascii2 };
        foreach (var name in new[] { "what", "median", "p95", "n", "held against", "ratio", "verdict" }) table.AddColumn(name);
        foreach (var index in new[] { 1, 2, 3, 5 }) table.Columns[index].RightAligned();
        foreach (var section in sections)
        {
            if (table.Rows.Count > 0) table.AddEmptyRow();
            table.AddRow($"[bold]{Markup.Escape(section.Title)}[/]");
            foreach (var row in section.Rows) table.AddRow([.. Cells(row).Select(Markup.Escape)]);
        }

        AnsiConsole.Write(table);
    }

    public static async Task WriteJsonAsync(string path, IEnumerable<Section> sections, CancellationToken cancellation)
    {
        using var content = new MemoryStream();
        await using (var json = new Utf8JsonWriter(content, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartArray();
            foreach (var section in sections)
                foreach (var row in section.Rows) Write(json, section.Title, row);
            json.WriteEndArray();
        }

        await File.WriteAllTextAsync(path, Encoding.UTF8.GetString(content.ToArray()) + "\n", cancellation);
    }

    private static string[] Cells(Row row) =>
    [
        $"  {row.What}", $"{Text(row.Measured.Median)} {row.Unit}", Text(row.Measured.P95), $"{row.Measured.Count}", row.Against,
        row.Ratio is { } ratio ? $"{ratio.ToString("0.00", CultureInfo.InvariantCulture)}x" : "",
        row.IsMet switch { true => "met", false => "MISSED", _ => "" },
    ];

    private static string Text(double value) => value.ToString(Math.Abs(value) < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture);

    private static void Write(Utf8JsonWriter json, string section, Row row)
    {
        json.WriteStartObject();
        json.WriteString("section", section);
        json.WriteString("what", row.What);
        json.WriteString("unit", row.Unit);
        json.WriteNumber("median", Math.Round(row.Measured.Median, 3));
        json.WriteNumber("p95", Math.Round(row.Measured.P95, 3));
        json.WriteNumber("n", row.Measured.Count);
        json.WriteString("against", row.Against);
        Write(json, "reference", row.Reference);
        Write(json, "limit", row.Limit);
        Write(json, "ratio", row.Ratio);
        if (row.IsMet is { } met) json.WriteBoolean("met", met);
        else json.WriteNull("met");
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number) json.WriteNumber(name, Math.Round(number, 3));
        else json.WriteNull(name);
    }
}
