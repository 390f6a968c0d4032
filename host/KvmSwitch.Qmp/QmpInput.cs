using System.Text.Json.Nodes;

namespace KvmSwitch.Qmp;

/// <summary>Input that QEMU hands to its emulated keyboards and pointers (qapi/ui.json).</summary>
public static class QmpInput
{
    /// <summary><c>send-key</c>: presses the keys in order, holds them 100 ms, and releases them in reverse.</summary>
    /// <param name="client">The session.</param>
    /// <param name="qcodes">QAPI's <c>QKeyCode</c> words, such as <c>ctrl</c>, <c>f11</c>, <c>a</c>.</param>
    public static Task SendKeyAsync(this QmpClient client, params string[] qcodes) => client.SendKeyAsync(qcodes, null, CancellationToken.None);

    /// <summary><c>send-key</c> with a holding time of its own.</summary>
    public static Task SendKeyAsync(this QmpClient client, IEnumerable<string> qcodes, TimeSpan? hold, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(qcodes);
        var arguments = new JsonObject { ["keys"] = new JsonArray([.. qcodes.Select(Code)]) };
        if (hold is { } time)
        {
            arguments["hold-time"] = (int)time.TotalMilliseconds;
        }

        return client.PlainAsync("send-key", cancellationToken, arguments);
    }

    /// <summary><c>input-send-event</c>: all of the events at once.</summary>
    /// <param name="client">The session.</param>
    /// <param name="events">QAPI's <c>InputEvent</c>, see <see cref="Key"/>, <see cref="Button"/> and <see cref="Move"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static Task InputSendEventAsync(this QmpClient client, IEnumerable<JsonObject> events, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(events);
        var arguments = new JsonObject { ["events"] = new JsonArray([.. events.Select(item => item.DeepClone())]) };
        return client.PlainAsync("input-send-event", cancellationToken, arguments);
    }

    /// <summary>A key goes down or up.</summary>
    public static JsonObject Key(string qcode, bool down) => Event("key", new JsonObject { ["down"] = down, ["key"] = Code(qcode) });

    /// <summary>A button (<c>left</c>, <c>middle</c>, <c>right</c>) goes down or up.</summary>
    public static JsonObject Button(string button, bool down) => Event("btn", new JsonObject { ["down"] = down, ["button"] = button });

    /// <summary>A pointer moves along an axis (<c>x</c> or <c>y</c>).</summary>
    public static JsonObject Move(string axis, int distance) => Event("rel", new JsonObject { ["axis"] = axis, ["value"] = distance });

    private static JsonObject Event(string type, JsonObject data) => new() { ["type"] = type, ["data"] = data };

    private static JsonObject Code(string qcode) => new() { ["type"] = "qcode", ["data"] = qcode };
}
