using System.Text.Json;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output.Json;

internal static class HandoffJson
{
    public static void Write(Utf8JsonWriter json, Handoff handoff)
    {
        json.WriteStartObject();
        json.WriteString("id", handoff.Id);
        json.WriteString("gesture", handoff.Gesture);
        json.List("devices", handoff.Devices);
        json.List("from", handoff.From);
        json.WriteString("to", handoff.To);
        json.WriteString("outcome", handoff.Outcome);
        json.Time("started", handoff.Started);
        json.Milliseconds("duration_ms", handoff.DurationMs);
        json.List("steps", handoff.Steps, step => Write(json, step));
        json.Text("error", handoff.Error);
        if (handoff.Uid >= 0)
        {
            json.WriteNumber("uid", handoff.Uid);
        }
        else
        {
            json.WriteNull("uid");
        }

        json.WriteEndObject();
    }

    /// <param name="json">Where it goes.</param>
    /// <param name="newestFirst">As the daemon tells them; written newest last, like the table.</param>
    public static void History(Utf8JsonWriter json, IEnumerable<Handoff> newestFirst)
    {
        json.WriteStartObject();
        json.List("handoffs", newestFirst.Reverse(), handoff => Write(json, handoff));
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, Handoff.Types.Step step)
    {
        json.WriteStartObject();
        json.WriteString("name", step.Name);
        json.Text("device", step.Device);
        json.Milliseconds("start_ms", step.StartMs);
        json.Milliseconds("duration_ms", step.DurationMs);
        json.Text("error", step.Error);
        json.WriteEndObject();
    }
}
