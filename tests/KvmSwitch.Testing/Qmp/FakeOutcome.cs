using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>What a command leads to: events, its answer, more events, and perhaps the end of the process.</summary>
internal sealed record FakeOutcome(JsonObject Answer)
{
    internal ImmutableArray<FakeEvent> Before { get; init; } = [];

    internal ImmutableArray<FakeEvent> After { get; init; } = [];

    internal bool Exits { get; init; }

    internal static FakeOutcome Done(JsonNode? value = null) => new(new JsonObject { ["return"] = value ?? new JsonObject() });

    internal static FakeOutcome Refused(string description, string errorClass = "GenericError") =>
        new(new JsonObject { ["error"] = new JsonObject { ["class"] = errorClass, ["desc"] = description } });
}

/// <summary>An event before it is written.</summary>
internal sealed record FakeEvent(string Name, JsonObject? Data = null)
{
    internal static FakeEvent Deleted(string id) =>
        new("DEVICE_DELETED", new JsonObject { ["device"] = id, ["path"] = $"/machine/peripheral/{id}" });

    internal JsonObject ToJson()
    {
        var now = DateTimeOffset.UtcNow;
        var micros = (now.Ticks / TimeSpan.TicksPerMicrosecond) % 1_000_000;
        var message = new JsonObject
        {
            ["timestamp"] = new JsonObject { ["seconds"] = now.ToUnixTimeSeconds(), ["microseconds"] = micros },
            ["event"] = Name,
        };
        if (Data is not null)
        {
            message["data"] = Data.DeepClone();
        }

        return message;
    }
}
