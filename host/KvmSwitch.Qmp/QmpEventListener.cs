using System.Runtime.CompilerServices;
using System.Threading.Channels;
using KvmSwitch.Qmp.Protocol;

namespace KvmSwitch.Qmp;

/// <summary>
/// One listener's own bounded queue of events. It fills from the moment of <see cref="QmpClient.Listen"/>: listen first, then send the
/// command whose event you need. When it is full, the oldest events make room. Events that came before the end of the session can still
/// be read; then every wait ends with the first reason. Dispose it to stop listening.
/// </summary>
public sealed class QmpEventListener : IDisposable
{
    private readonly EventHub _hub;
    private readonly Func<QmpEvent, bool>? _filter;
    private readonly TimeProvider _clock;
    private readonly Channel<QmpEvent> _queue;
    private long _dropped;

    internal QmpEventListener(EventHub hub, Func<QmpEvent, bool>? filter, int capacity, TimeProvider clock)
    {
        _hub = hub;
        _filter = filter;
        _clock = clock;
        var options = new BoundedChannelOptions(capacity) { FullMode = BoundedChannelFullMode.DropOldest };
        _queue = Channel.CreateBounded<QmpEvent>(options, _ => Interlocked.Increment(ref _dropped));
    }

    /// <summary>How many events were lost because nobody read them in time. If it grows, look at the state instead of the events.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>All events in order, until the caller stops, this is disposed, or the session ends.</summary>
    /// <exception cref="QmpDisconnectedException">The session ended, and all events before that were read.</exception>
    public async IAsyncEnumerable<QmpEvent> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (await _queue.Reader.WaitToReadAsync(cancellationToken))
        {
            while (_queue.Reader.TryRead(out var happened))
            {
                yield return happened;
            }
        }
    }

    /// <summary>The next event that matches. Events before it are taken from the queue and forgotten.</summary>
    /// <exception cref="QmpTimeoutException">None came before the deadline.</exception>
    /// <exception cref="QmpDisconnectedException">The session ended before one came.</exception>
    public async Task<QmpEvent> WaitForAsync(Func<QmpEvent, bool> match, TimeSpan deadline, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(match);
        using var late = new CancellationTokenSource(deadline, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            await foreach (var happened in ReadAllAsync(either.Token))
            {
                if (match(happened))
                {
                    return happened;
                }
            }
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new QmpTimeoutException(null, deadline, $"QEMU did not send the awaited event within {deadline.TotalSeconds:0.###} s.");
        }

        throw new ObjectDisposedException(nameof(QmpEventListener));
    }

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        _hub.Remove(this);
        Complete(null);
    }

    internal void Offer(QmpEvent happened)
    {
        try
        {
            if (_filter is null || _filter(happened))
            {
                _queue.Writer.TryWrite(happened);
            }
        }
        catch (Exception e)
        {
            // The caller's filter is broken: that is this listener's end and nobody else's.
            _hub.Remove(this);
            Complete(e);
        }
    }

    internal void Complete(Exception? reason) => _queue.Writer.TryComplete(reason);
}
