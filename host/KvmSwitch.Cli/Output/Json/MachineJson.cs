using System.Text.Json;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output.Json;

internal static class MachineJson
{
    public static void Write(Utf8JsonWriter json, MachineProgress progress)
    {
        json.WriteStartObject();
        json.WriteString("text", progress.Text);
        json.WriteBoolean("done", progress.Done);
        json.Milliseconds("elapsed_ms", progress.ElapsedMs);
        json.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter json, MachineArguments arguments)
    {
        json.WriteStartObject();
        json.WriteString("program", arguments.Program);
        json.List("arguments", arguments.Arguments);
        json.WriteEndObject();
    }
}
