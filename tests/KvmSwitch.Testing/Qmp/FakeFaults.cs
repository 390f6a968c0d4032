using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>Which command goes wrong how: the queued fault first, then the lasting one.</summary>
internal sealed class FakeFaults
{
    private readonly Dictionary<string, Queue<FakeFault>> _next = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FakeFault> _always = new(StringComparer.Ordinal);

    internal void Next(string command, FakeFault fault)
    {
        if (!_next.TryGetValue(command, out var queue))
        {
            _next[command] = queue = new Queue<FakeFault>();
        }

        queue.Enqueue(fault);
    }

    internal void Always(string command, FakeFault? fault)
    {
        _always.Remove(command);
        if (fault is not null)
        {
            _always.Add(command, fault);
        }
    }

    internal FakeFault? Take(string command) =>
        _next.TryGetValue(command, out var queue) && queue.TryDequeue(out var fault) ? fault : _always.GetValueOrDefault(command);

    /// <summary>What the command leads to instead of what the machine would do; null if the machine is to do it.</summary>
    internal static FakeOutcome? Instead(FakeFault? fault, FakeCommand command) => fault switch
    {
        FakeFault.Refuse refuse => FakeOutcome.Refused(refuse.Description, refuse.ErrorClass),
        FakeFault.Return value => FakeOutcome.Done(value.Value.DeepClone()),
        FakeFault.NeverDeleted or FakeFault.DeletedAfter => FakeOutcome.Done(),
        FakeFault.UnplugRefused => FakeOutcome.Done() with { After = [Refusal(FakeDeviceRules.Text(command.Arguments, "id"))] },
        _ => null,
    };

    /// <summary>The machine's outcome with its events moved or left out.</summary>
    internal static FakeOutcome Bend(FakeFault? fault, FakeOutcome outcome) => fault switch
    {
        FakeFault.DeletedFirst => outcome with { Before = outcome.After, After = [] },
        FakeFault.DeletedSilently => outcome with { After = [] },
        _ => outcome,
    };

    /// <summary>The answer as it goes out: none, one or two messages.</summary>
    internal static IEnumerable<JsonObject> Answers(FakeFault? fault, JsonObject answer, JsonNode? id)
    {
        var sent = fault is FakeFault.AnswerUnderId other ? (JsonNode?)other.Id : id?.DeepClone();
        if (sent is not null)
        {
            answer["id"] = sent;
        }

        return fault switch
        {
            FakeFault.NeverAnswer => [],
            FakeFault.AnswerTwice => [answer, answer],
            _ => [answer],
        };
    }

    private static FakeEvent Refusal(string? id) =>
        new("DEVICE_UNPLUG_GUEST_ERROR", new JsonObject { ["device"] = id, ["path"] = $"/machine/peripheral/{id}" });
}
