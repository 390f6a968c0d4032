using System.Text.Json;
using System.Text.Json.Nodes;

namespace KvmSwitch.Qmp;

/// <summary>The run state and the machine as a whole (qapi/run-state.json, qapi/machine.json, qapi/control.json).</summary>
/// <remarks>All throw as <see cref="QmpClient.ExecuteAsync"/> does, and <see cref="QmpProtocolException"/> for an answer of another shape.</remarks>
public static class QmpCommands
{
    /// <summary><c>query-status</c>.</summary>
    public static async Task<QmpStatus> QueryStatusAsync(this QmpClient client, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(client);
        var answer = await client.ExecuteAsync("query-status", cancellationToken: cancellationToken);
        var raw = answer.TextOf("query-status", "status");
        return new QmpStatus(QmpStatus.Parse(raw), answer.FlagOf("query-status", "running"), raw);
    }

    /// <summary><c>query-version</c>.</summary>
    public static async Task<QmpGreeting> QueryVersionAsync(this QmpClient client, CancellationToken cancellationToken = default)
    {
        const string Command = "query-version";
        ArgumentNullException.ThrowIfNull(client);
        var answer = await client.ExecuteAsync(Command, cancellationToken: cancellationToken);
        var numbers = answer.Member(Command, "qemu");
        var version = new Version(numbers.NumberOf(Command, "major"), numbers.NumberOf(Command, "minor"), numbers.NumberOf(Command, "micro"));
        return new QmpGreeting(version, answer.TextOf(Command, "package"));
    }

    /// <summary><c>query-memory-size-summary</c>: the guest's memory at its start, in bytes.</summary>
    public static async Task<long> QueryBaseMemoryAsync(this QmpClient client, CancellationToken cancellationToken = default)
    {
        const string Command = "query-memory-size-summary";
        var answer = await client.PlainAsync(Command, cancellationToken);
        return answer.SizeOf(Command, "base-memory");
    }

    /// <summary><c>system_powerdown</c>: asks the guest (ACPI) to shut down. It may ignore that.</summary>
    public static Task SystemPowerdownAsync(this QmpClient client, CancellationToken cancellationToken = default) =>
        client.PlainAsync("system_powerdown", cancellationToken);

    /// <summary><c>system_reset</c>: resets the machine at once; a RESET event follows.</summary>
    public static Task SystemResetAsync(this QmpClient client, CancellationToken cancellationToken = default) =>
        client.PlainAsync("system_reset", cancellationToken);

    /// <summary><c>stop</c>: pauses all virtual CPUs.</summary>
    public static Task StopAsync(this QmpClient client, CancellationToken cancellationToken = default) =>
        client.PlainAsync("stop", cancellationToken);

    /// <summary><c>cont</c>: lets the virtual CPUs run.</summary>
    public static Task ContAsync(this QmpClient client, CancellationToken cancellationToken = default) =>
        client.PlainAsync("cont", cancellationToken);

    /// <summary><c>quit</c>: QEMU ends without asking the guest. The session ends soon after.</summary>
    public static Task QuitAsync(this QmpClient client, CancellationToken cancellationToken = default) =>
        client.PlainAsync("quit", cancellationToken);

    internal static Task<JsonElement> PlainAsync(
        this QmpClient client, string command, CancellationToken cancellationToken, JsonObject? arguments = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        return client.ExecuteAsync(command, arguments, cancellationToken: cancellationToken);
    }
}
