using System.Net.Sockets;
using KvmSwitch.Qmp.Transport;

namespace KvmSwitch.Qmp.Protocol;

/// <summary>From a path to a session in command mode, under one deadline.</summary>
internal static class QmpHandshake
{
    /// <exception cref="QmpConnectException">For every failure but the caller's own cancellation.</exception>
    internal static async Task<QmpClient> ConnectAsync(string path, QmpClientOptions options, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(options.ConnectDeadline, options.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        var stage = $"The QMP socket '{path}' did not take a connection: another program is probably connected to it";
        QmpTransport? transport = null;
        QmpClient? client = null;
        try
        {
            transport = await QmpTransport.ConnectAsync(path, options.MaxLineBytes, either.Token);
            stage = $"No greeting on the QMP socket '{path}': another program is probably connected to it, for QEMU serves one at a time";
            var greeting = await ReadGreetingAsync(transport, path, either.Token);
            stage = $"QEMU greeted on '{path}', but did not answer qmp_capabilities: it hangs, or is stopped";
            client = new QmpClient(transport, greeting, options);
            await client.ExecuteAsync("qmp_capabilities", null, Timeout.InfiniteTimeSpan, null, either.Token);
            return client;
        }
        catch (Exception e)
        {
            var peer = transport?.PeerProcessId;
            await CloseAsync(client, transport);
            cancellationToken.ThrowIfCancellationRequested();
            throw e switch
            {
                QmpConnectException => e,
                OperationCanceledException => new QmpConnectException(path, $"{stage} (waited {options.ConnectDeadline.TotalSeconds:0.###} s).", e, peer),
                QmpException => new QmpConnectException(path, $"No QMP session on '{path}': {e.Message}", e, peer),
                IOException or SocketException => new QmpConnectException(path, $"The QMP socket '{path}' broke: {e.Message}.", e, peer),
                _ => new InvalidOperationException($"Setting up QMP on '{path}' failed: {e.Message}", e),
            };
        }
    }

    private static async Task<QmpGreeting> ReadGreetingAsync(QmpTransport transport, string path, CancellationToken cancellationToken)
    {
        while (await transport.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.Span.Trim(" \t\r"u8).IsEmpty)
            {
                continue;
            }

            var (document, message) = QmpMessage.Parse(line);
            using (document)
            {
                switch (message)
                {
                    case QmpMessage.Greeting greeting:
                        return greeting.Value;
                    case QmpMessage.Event or QmpMessage.Return or QmpMessage.Error { Id: not null }:
                        // Left over from the session before; nobody here waits for it.
                        continue;
                    default:
                        throw new QmpProtocolException("QEMU sent an error before its greeting.");
                }
            }
        }

        throw new QmpDisconnectedException("The program behind it closed the connection before its greeting.");
    }

    private static async ValueTask CloseAsync(QmpClient? client, QmpTransport? transport)
    {
        if (client is not null)
        {
            await client.DisposeAsync();
        }
        else
        {
            transport?.Dispose();
        }
    }
}
