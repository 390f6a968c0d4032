using System.CommandLine;
using System.Text;
using System.Text.Json;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Cli;

/// <summary><c>status</c>: what this guest is paired with.</summary>
internal static class StatusCommand
{
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var state = Root.StateOption();
        var command = new Command("status", "Tell which host this guest is paired with.") { json, state };
        command.SetAction((parsed, _) => Root.GuardedAsync(() =>
        {
            var identity = new IdentityStore(parsed.GetRequiredValue(state)).Load();
            return Console.Out.WriteLineAsync(parsed.GetValue(json) ? Json(identity) : Text(identity));
        }));
        return command;
    }

    public static string Text(HostIdentity? identity) => identity is null
        ? $"Not paired. Run 'kvmswitch guest pair' on the host, then '{AgentProgram.Name} join CODE' here."
        : $"Paired: machine {identity.Machine}, host at {string.Join(", ", identity.Addresses)}.";

    public static string Json(HostIdentity? identity)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteBoolean("joined", identity is not null);
            json.WriteString("machine", identity?.Machine);
            json.WriteStartArray("addresses");
            foreach (var address in identity?.Addresses ?? [])
                json.WriteStringValue(address.ToString());
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }
}
