using System.Text.Json;
using System.Text.Unicode;

namespace KvmSwitch.Qmp.Protocol;

/// <summary>One line from the peer, told apart by its kind. Elements borrow the line's bytes: clone what is kept.</summary>
internal abstract record QmpMessage
{
    // QEMU's own parser stops at 1024 levels (qobject/json-streamer.c).
    private static readonly JsonDocumentOptions _options = new() { MaxDepth = 1024 };

    private QmpMessage()
    {
    }

    internal sealed record Greeting(QmpGreeting Value) : QmpMessage;

    internal sealed record Return(string? Id, JsonElement Value) : QmpMessage;

    internal sealed record Error(string? Id, string ErrorClass, string Description) : QmpMessage;

    internal sealed record Event(string Name, JsonElement? Data, DateTimeOffset Timestamp) : QmpMessage;

    /// <summary>Parses a line. The caller disposes the document when it has taken what it needs.</summary>
    /// <exception cref="QmpProtocolException">The line is not QMP.</exception>
    internal static (JsonDocument Document, QmpMessage Message) Parse(ReadOnlyMemory<byte> line)
    {
        if (!Utf8.IsValid(line.Span))
        {
            throw new QmpProtocolException("QEMU sent a line that is not UTF-8.");
        }

        JsonDocument? document = null;
        try
        {
            document = JsonDocument.Parse(line, _options);
            var message = Classify(document.RootElement);
            (var parsed, document) = (document, null);
            return (parsed, message);
        }
        catch (JsonException e)
        {
            throw new QmpProtocolException("QEMU sent a line that is not JSON.", e);
        }
        catch (InvalidOperationException e)
        {
            // Valid UTF-8 may still escape half a surrogate pair; then the text can't be read.
            throw new QmpProtocolException("QEMU sent a text that is not Unicode.", e);
        }
        finally
        {
            document?.Dispose();
        }
    }

    private static QmpMessage Classify(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new QmpProtocolException("QEMU sent JSON that is not an object.");
        }

        if (root.TryGetProperty("event", out var name))
        {
            JsonElement? data = root.TryGetProperty("data", out var value) ? value : null;
            return new Event(TextOf(name, "event"), data, TimestampOf(root));
        }

        if (root.TryGetProperty("return", out var returned))
        {
            return new Return(IdOf(root), returned);
        }

        if (root.TryGetProperty("error", out var error))
        {
            return new Error(IdOf(root), TextOf(Member(error, "class"), "class"), TextOf(Member(error, "desc"), "desc"));
        }

        return root.TryGetProperty("QMP", out var greeting)
            ? new Greeting(GreetingOf(greeting))
            : throw new QmpProtocolException("QEMU sent an object that is neither greeting, answer nor event.");
    }

    private static QmpGreeting GreetingOf(JsonElement greeting)
    {
        var version = Member(greeting, "version");
        var numbers = Member(version, "qemu");
        var package = version.TryGetProperty("package", out var text) ? TextOf(text, "package") : "";
        return new QmpGreeting(new Version(Number(numbers, "major"), Number(numbers, "minor"), Number(numbers, "micro")), package);
    }

    // Ids of another type are not ours, so nobody waits for them.
    private static string? IdOf(JsonElement root) =>
        root.TryGetProperty("id", out var id) ? id.ValueKind == JsonValueKind.String ? id.GetString() : "" : null;

    private static DateTimeOffset TimestampOf(JsonElement root)
    {
        // QAPI: both numbers are -1 if the host's clock could not be read.
        if (!root.TryGetProperty("timestamp", out var stamp) || stamp.ValueKind != JsonValueKind.Object
            || !TryLong(stamp, "seconds", out var seconds) || !TryLong(stamp, "microseconds", out var micros)
            || seconds is < 0 or > 253_402_300_799 || micros is < 0 or > 999_999)
        {
            return DateTimeOffset.UnixEpoch;
        }

        return DateTimeOffset.FromUnixTimeSeconds(seconds).AddMicroseconds(micros);
    }

    private static bool TryLong(JsonElement parent, string name, out long value)
    {
        value = 0;
        return parent.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.Number && member.TryGetInt64(out value);
    }

    private static int Number(JsonElement parent, string name) =>
        Member(parent, name) is { ValueKind: JsonValueKind.Number } member && member.TryGetInt32(out var value) && value >= 0
            ? value
            : throw new QmpProtocolException($"QEMU sent a '{name}' that is not a number.");

    private static string TextOf(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.String
            ? element.GetString()!
            : throw new QmpProtocolException($"QEMU sent a '{name}' that is not a text.");

    private static JsonElement Member(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var member)
            ? member
            : throw new QmpProtocolException($"QEMU sent a message without '{name}'.");
}
