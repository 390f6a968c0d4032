using System.Text.Json;

namespace KvmSwitch.Qmp;

/// <summary>Reads answers against the shape that the QAPI schema gives them.</summary>
internal static class QmpAnswer
{
    internal static JsonElement Member(this JsonElement answer, string command, string name) =>
        answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty(name, out var member)
            ? member
            : throw new QmpProtocolException($"QEMU's answer to {command} has no '{name}'.");

    internal static string TextOf(this JsonElement answer, string command, string name)
    {
        var member = answer.Member(command, name);
        try
        {
            return member.ValueKind == JsonValueKind.String ? member.GetString()! : throw Misshapen(command, name);
        }
        catch (InvalidOperationException e)
        {
            throw new QmpProtocolException($"QEMU's answer to {command} has a '{name}' that is not Unicode.", e);
        }
    }

    internal static int NumberOf(this JsonElement answer, string command, string name) =>
        answer.Member(command, name) is { ValueKind: JsonValueKind.Number } member && member.TryGetInt32(out var number)
            ? number
            : throw Misshapen(command, name);

    internal static long SizeOf(this JsonElement answer, string command, string name) =>
        answer.Member(command, name) is { ValueKind: JsonValueKind.Number } member && member.TryGetInt64(out var size) && size >= 0
            ? size
            : throw Misshapen(command, name);

    internal static bool FlagOf(this JsonElement answer, string command, string name) =>
        answer.Member(command, name).ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Misshapen(command, name),
        };

    internal static IEnumerable<JsonElement> ItemsOf(this JsonElement answer, string command) =>
        answer.ValueKind == JsonValueKind.Array
            ? answer.EnumerateArray()
            : throw new QmpProtocolException($"QEMU's answer to {command} is not a list.");

    private static QmpProtocolException Misshapen(string command, string name) =>
        new($"QEMU's answer to {command} has a '{name}' of the wrong type.");
}
