using System.Text;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output;

/// <summary>Handoffs as lines and as a table.</summary>
internal static class HandoffText
{
    /// <summary>One line: what moved, from where to where, in how many milliseconds; below it the steps when they are wanted.</summary>
    public static string Render(Handoff handoff, bool steps, TextLayout layout)
    {
        var devices = Plain.Text(string.Join(", ", handoff.Devices));
        var line = handoff.Outcome == "unchanged"
            ? $"{devices}: already {(handoff.To == "host" ? "home" : $"with {Plain.Text(handoff.To)}")}\n"
            : $"{devices}: {Plain.Text(Move(handoff))}   {Milliseconds(handoff.DurationMs)} ms\n";
        return steps && handoff.Steps.Count > 0 ? line + Steps(handoff, layout) : line;
    }

    /// <param name="handoffs">Newest first, as the daemon tells them; shown newest last.</param>
    /// <param name="layout">Where it goes.</param>
    /// <param name="zone">The zone of the times shown.</param>
    public static string History(IEnumerable<Handoff> handoffs, TextLayout layout, TimeZoneInfo zone)
    {
        var table = new Table("WHEN", "BY", "MOVE", "OUTCOME", ">MS", "DEVICES");
        foreach (var handoff in handoffs.Reverse())
        {
            var when = handoff.Started is { } started ? TimeZoneInfo.ConvertTime(started.ToDateTimeOffset(), zone).ToString("MM-dd HH:mm:ss") : "";
            var devices = string.Join(", ", handoff.Devices);
            var outcome = new Cell(handoff.Outcome, handoff.Outcome is "done" or "unchanged" ? Ink.None : Ink.Red);
            var rest = handoff.Error.Length > 0 ? $"{devices}: {handoff.Error}" : devices;
            table.Add(when, handoff.Gesture, Move(handoff), outcome, Milliseconds(handoff.DurationMs), rest);
        }

        return table.Render(layout);
    }

    private static string Move(Handoff handoff) => $"{string.Join(", ", handoff.From.Distinct())} → {handoff.To}";

    private static string Steps(Handoff handoff, TextLayout layout)
    {
        var table = new Table(">AT MS", ">TOOK", "STEP", "DEVICE");
        foreach (var step in handoff.Steps)
        {
            var last = step.Error.Length > 0 ? new Cell($"{step.Device}: {step.Error}", Ink.Red) : step.Device;
            table.Add(Milliseconds(step.StartMs), Milliseconds(step.DurationMs), step.Name, last);
        }

        var inner = layout with { Width = layout.Width - 2 };
        return new StringBuilder("  ").Append(table.Render(inner).TrimEnd('\n').Replace("\n", "\n  ")).Append('\n').ToString();
    }

    private static string Milliseconds(double value) => value is > 0 and < 9.95 ? value.ToString("0.0") : Math.Round(value).ToString("0");
}
