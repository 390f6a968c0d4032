using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace KvmSwitch.Qmp.Protocol;

/// <summary>A command as one line of bytes.</summary>
internal static class QmpRequest
{
    internal static byte[] Serialize(string command, JsonObject? arguments, string id)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("execute"u8, command);
            if (arguments is { Count: > 0 })
            {
                writer.WritePropertyName("arguments"u8);
                arguments.WriteTo(writer);
            }

            writer.WriteString("id"u8, id);
            writer.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
