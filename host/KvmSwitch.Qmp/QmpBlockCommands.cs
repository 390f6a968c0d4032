using System.Text.Json.Nodes;

namespace KvmSwitch.Qmp;

/// <summary>Block nodes (qapi/block-core.json): what a drive in the guest reads and writes.</summary>
/// <remarks>All throw as <see cref="QmpClient.ExecuteAsync"/> does, and <see cref="QmpProtocolException"/> for an answer of another shape.</remarks>
public static class QmpBlockCommands
{
    /// <summary><c>blockdev-add</c>.</summary>
    /// <param name="client">The session.</param>
    /// <param name="nodeName">At most 31 characters.</param>
    /// <param name="options">Of BlockdevOptions, with <c>driver</c>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static Task BlockdevAddAsync(
        this QmpClient client, string nodeName, JsonObject options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var arguments = (JsonObject)options.DeepClone();
        arguments["node-name"] = nodeName;
        return client.PlainAsync("blockdev-add", cancellationToken, arguments);
    }

    /// <summary><c>blockdev-del</c>. Refused while a device uses the node.</summary>
    public static Task BlockdevDelAsync(this QmpClient client, string nodeName, CancellationToken cancellationToken = default) =>
        client.PlainAsync("blockdev-del", cancellationToken, new JsonObject { ["node-name"] = nodeName });

    /// <summary><c>query-named-block-nodes</c>, the names alone. Nodes that QEMU named itself begin with <c>#</c>.</summary>
    public static async Task<IReadOnlyList<string>> ListBlockNodesAsync(this QmpClient client, CancellationToken cancellationToken = default)
    {
        const string Command = "query-named-block-nodes";
        var answer = await client.PlainAsync(Command, cancellationToken, new JsonObject { ["flat"] = true });
        return [.. answer.ItemsOf(Command).Select(item => item.TextOf(Command, "node-name"))];
    }
}
