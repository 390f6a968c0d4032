using System.Net.Sockets;
using System.Text.Json.Nodes;
using KvmSwitch.Qmp.Transport;

namespace KvmSwitch.Qmp;

/// <summary>The VNC servers that a QEMU has (qapi/ui.json, qapi/misc.json).</summary>
/// <remarks>All throw as <see cref="QmpClient.ExecuteAsync"/> does, and <see cref="QmpProtocolException"/> for an answer of another shape.</remarks>
public static class QmpVnc
{
    /// <summary>
    /// <c>getfd</c> and <c>add_client</c>: a connection to the first VNC server, past its authentication. It need not listen anywhere
    /// (<c>-vnc none</c>).
    /// </summary>
    /// <param name="client">The session.</param>
    /// <param name="name">What QEMU calls the connection on its way; another one of that name that was not used is closed.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>QEMU has not said anything on it yet. Null: this QEMU has no VNC server.</returns>
    /// <exception cref="IOException">No descriptor is left.</exception>
    public static async Task<Socket?> ConnectVncAsync(this QmpClient client, string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(client);
        // Without a server, add_client succeeds all the same, and QEMU keeps the descriptor for ever (7.2 and 10.0).
        if (!await client.HasVncAsync(cancellationToken))
        {
            return null;
        }

        var (ours, theirs) = SocketPair.Make();
        try
        {
            using (theirs)
            {
                await client.ExecuteAsync("getfd", new JsonObject { ["fdname"] = name }, null, theirs.SafeHandle, cancellationToken);
            }

            await client.PlainAsync(
                "add_client", cancellationToken, new JsonObject { ["protocol"] = "vnc", ["fdname"] = name, ["skipauth"] = true });
            return ours;
        }
        catch
        {
            ours.Dispose();
            throw;
        }
    }

    /// <summary><c>query-vnc-servers</c>: those that listen nowhere are told as well.</summary>
    private static async Task<bool> HasVncAsync(this QmpClient client, CancellationToken cancellationToken)
    {
        const string Command = "query-vnc-servers";
        try
        {
            return (await client.PlainAsync(Command, cancellationToken)).ItemsOf(Command).Any();
        }
        catch (QmpCommandException unknown) when (unknown.ErrorClass == QmpErrorClass.CommandNotFound)
        {
            // Built without VNC.
            return false;
        }
    }
}
