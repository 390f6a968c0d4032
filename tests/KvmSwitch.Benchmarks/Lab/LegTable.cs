using System.Globalization;
using Spectre.Console;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>The lab's main table: one line for each route and direction.</summary>
internal static class LegTable
{
    private static readonly string[] Columns =
        ["route", "", "ours", "p95", "bare QMP", "p95", "ratio", "at most 1.05", "whole command", "virsh", "faster than virsh"];

    public static void Print(IReadOnlyCollection<Leg> legs)
    {
        var table = new Table { Border = TableBorder.Ascii2, Title = new("Medians, ms"), UseSafeBorder = true };
        foreach (var name in Columns) table.AddColumn(new TableColumn(name) { NoWrap = true });
        foreach (var index in new[] { 2, 3, 4, 5, 6, 8, 9 }) table.Columns[index].RightAligned();
        foreach (var leg in legs) table.AddRow([.. Cells(leg).Select(Markup.Escape)]);
        AnsiConsole.Write(table);
    }

    private static string[] Cells(Leg leg) =>
    [
        leg.Route, leg.Direction, Text(leg.Ours.Median), Text(leg.Ours.P95), Text(leg.Floor.Median), Text(leg.Floor.P95),
        leg.Ratio.ToString("0.00", CultureInfo.InvariantCulture), Verdict(leg.IsNearFloor), Text(leg.Whole.Median),
        leg.Virsh.Count > 0 ? Text(new Samples(leg.Virsh).Median) : "", leg.IsFasterThanVirsh is { } faster ? Verdict(faster) : "",
    ];

    private static string Verdict(bool met) => met ? "met" : "MISSED";

    private static string Text(double value) => value.ToString(value < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
}
