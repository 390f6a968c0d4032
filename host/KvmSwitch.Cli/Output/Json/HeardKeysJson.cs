using System.Text.Json;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output.Json;

internal static class HeardKeysJson
{
    public static void Write(Utf8JsonWriter json, HeardKeys heard)
    {
        json.WriteStartObject();
        json.WriteString("keyboard", heard.Keyboard);
        json.List("keys_down", heard.KeysDown);
        if (heard.Chord.Length > 0) json.WriteString("hotkey", heard.Chord);
        else json.WriteNull("hotkey");
        json.WriteEndObject();
    }
}
