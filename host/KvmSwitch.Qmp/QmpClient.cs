using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvmSwitch.Qmp.Protocol;
using KvmSwitch.Qmp.Transport;

namespace KvmSwitch.Qmp;

/// <summary>
/// One session with QEMU's machine protocol over a Unix socket (docs/interop/qmp-spec, qapi/). All members may be used from several
/// threads at once. A session that went wrong in any way ends, with its first reason; connect again for a new one.
/// </summary>
public sealed class QmpClient : IAsyncDisposable
{
    private readonly QmpTransport _transport;
    private readonly QmpClientOptions _options;
    private readonly PendingReplies _replies = new();
    private readonly EventHub _events = new();
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly TaskCompletionSource<QmpDisconnectedException> _disconnected = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // QEMU may still answer a command of the session before this one, so a number alone could be taken for ours.
    // Short, because QEMU takes a turn of its main loop for each byte that it reads (14 µs measured with 7.2).
    private readonly string _session = Random.Shared.GetString("abcdefghijklmnopqrstuvwxyz", 3);
    private readonly Task _reading;
    private long _lastId;

    internal QmpClient(QmpTransport transport, QmpGreeting greeting, QmpClientOptions options)
    {
        _transport = transport;
        _options = options;
        Greeting = greeting;
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>What QEMU said of itself.</summary>
    public QmpGreeting Greeting { get; }

    /// <summary>The process that made the listening socket: QEMU itself, unless a supervisor made the socket for it.</summary>
    public int PeerProcessId => _transport.PeerProcessId;

    /// <summary>Completes with the first reason when the session ends, for whatever cause. Never faults.</summary>
    public Task<QmpDisconnectedException> Disconnected => _disconnected.Task;

    /// <summary>Answers that nobody waited for (any more): after a deadline, doubled, or with a strange id.</summary>
    public long IgnoredReplies => _replies.Ignored;

    internal QmpClientOptions Options => _options;

    /// <summary>Connects, waits for the greeting and leaves negotiation mode (<c>qmp_capabilities</c>, no out-of-band execution).</summary>
    /// <remarks>Events of the time before are not kept: once connected, listen, and then look at the state.</remarks>
    /// <exception cref="QmpConnectException">The session could not be set up before the deadline; the message says why.</exception>
    public static Task<QmpClient> ConnectAsync(
        string socketPath, QmpClientOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(socketPath);
        return QmpHandshake.ConnectAsync(socketPath, options ?? new QmpClientOptions(), cancellationToken);
    }

    /// <summary>Sends one command and waits for its answer.</summary>
    /// <param name="command">Its name in the QAPI schema.</param>
    /// <param name="arguments">Its arguments; they are read before this method returns.</param>
    /// <param name="deadline">For sending and answer together; by default <see cref="QmpClientOptions.CommandDeadline"/>.</param>
    /// <param name="descriptor">Sent along (SCM_RIGHTS). It may be closed as soon as the task has completed.</param>
    /// <param name="cancellationToken">Ends the wait. A command that was sent is carried out nevertheless, and its answer dropped.</param>
    /// <returns>The <c>return</c> element, owned by the caller.</returns>
    /// <exception cref="QmpCommandException">QEMU answered with an error.</exception>
    /// <exception cref="QmpTimeoutException">No answer before the deadline. QEMU may still carry the command out.</exception>
    /// <exception cref="QmpDisconnectedException">The session has ended.</exception>
    public async Task<JsonElement> ExecuteAsync(
        string command,
        JsonObject? arguments = null,
        TimeSpan? deadline = null,
        SafeHandle? descriptor = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(command);
        cancellationToken.ThrowIfCancellationRequested();
        var limit = deadline ?? _options.CommandDeadline;
        var id = $"{_session}{Interlocked.Increment(ref _lastId)}";
        var line = QmpRequest.Serialize(command, arguments, id);
        using var abandoned = new CancellationTokenSource();
        var reply = _replies.Add(id, command);
        try
        {
            // Not awaited: a peer that does not read must not hold the caller beyond its deadline. A failure to write ends the session.
            _ = SendAsync(line, Hold(descriptor), abandoned.Token);
            return await reply.WaitAsync(limit, _options.TimeProvider, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new QmpTimeoutException(
                command, limit, $"QEMU did not answer {command} within {limit.TotalSeconds:0.###} s; it may still carry it out.");
        }
        finally
        {
            _replies.Abandon(id);
            await abandoned.CancelAsync();
        }
    }

    /// <summary>Begins to collect events.</summary>
    /// <param name="filter">Which events to keep, all by default. Runs on the reading loop: it must be quick and must not block.</param>
    /// <param name="capacity">How many unread events are kept.</param>
    public QmpEventListener Listen(Func<QmpEvent, bool>? filter = null, int capacity = 256) =>
        _events.Add(filter, capacity, _options.TimeProvider);

    /// <summary>Ends the session, if it has not ended yet. QEMU and its devices go on.</summary>
    public async ValueTask DisposeAsync()
    {
        Disconnect(new QmpDisconnectedException("The QMP session was closed on this side."));
        await _reading;
    }

    // Keeps the descriptor open until it was sent, whatever the caller does meanwhile.
    private static SafeHandle? Hold(SafeHandle? descriptor)
    {
        var held = false;
        descriptor?.DangerousAddRef(ref held);
        return descriptor;
    }

    private async Task SendAsync(byte[] line, SafeHandle? descriptor, CancellationToken abandoned)
    {
        try
        {
            var turn = _writing.WaitAsync(abandoned);
            await turn.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!turn.IsCompletedSuccessfully)
            {
                return;
            }

            await WriteAsync(line, descriptor);
            _writing.Release();
        }
        finally
        {
            descriptor?.DangerousRelease();
        }
    }

    private async Task WriteAsync(byte[] line, SafeHandle? descriptor)
    {
        // From the first byte on only the write's own deadline counts: half a command would spoil all that follow.
        using var late = new CancellationTokenSource(_options.WriteDeadline, _options.TimeProvider);
        try
        {
            await _transport.WriteAsync(line, descriptor, late.Token);
        }
        catch (OperationCanceledException)
        {
            Disconnect(new QmpDisconnectedException($"QEMU did not read a command within {_options.WriteDeadline.TotalSeconds:0.###} s."));
        }
        catch (Exception e)
        {
            // What QEMU said before it left (a SHUTDOWN event, say) is still to be read, and then the reading loop knows the reason.
            await Task.WhenAny(_reading, Task.Delay(_options.WriteDeadline, _options.TimeProvider));
            Disconnect(new QmpDisconnectedException("The connection to QEMU broke while a command was sent.", e));
        }
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await _transport.ReadLineAsync(CancellationToken.None) is { } line)
            {
                Receive(line);
            }

            Disconnect(new QmpDisconnectedException("QEMU closed the connection."));
        }
        catch (QmpProtocolException e)
        {
            Disconnect(new QmpDisconnectedException(e.Message, e));
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // A QEMU that quits leaves the line's last byte unread, so that its end looks like a reset.
            Disconnect(new QmpDisconnectedException("QEMU closed the connection.", e));
        }
        catch (Exception e)
        {
            // Nobody may wait for a loop that no longer runs.
            Disconnect(new QmpDisconnectedException($"Reading from QEMU failed: {e.Message}", e));
        }
    }

    private void Receive(ReadOnlyMemory<byte> line)
    {
        if (line.Span.Trim(" \t\r"u8).IsEmpty)
        {
            return;
        }

        var (document, message) = QmpMessage.Parse(line);
        using (document)
        {
            switch (message)
            {
                case QmpMessage.Event happened:
                    _events.Publish(happened);
                    break;
                case QmpMessage.Return answer:
                    _replies.Answer(answer);
                    break;
                case QmpMessage.Error { Id: null } error:
                    throw new QmpProtocolException($"QEMU could not read what it was sent: {error.Description}");
                case QmpMessage.Error error:
                    _replies.Refuse(error);
                    break;
                default:
                    throw new QmpProtocolException("QEMU sent a second greeting.");
            }
        }
    }

    private void Disconnect(QmpDisconnectedException reason)
    {
        if (_disconnected.TrySetResult(reason))
        {
            _replies.Close(reason);
            _events.Close(reason);
            _transport.Dispose();
        }
    }
}
