using System.Collections.Concurrent;
using System.Threading.Channels;

namespace KvmSwitch.Linux;

/// <summary>Where device events come from.</summary>
public interface IUeventSource
{
    /// <summary>Gets every event from now on. Listen first, then look, then wait: so nothing falls in between.</summary>
    UeventListener Listen();
}

/// <summary>
/// Hands events to all listeners. One that doesn't keep up loses them, and is told so by <see cref="Uevent.Rescan"/>; nobody waits for it.
/// </summary>
public sealed class UeventHub : IUeventSource
{
    private readonly ConcurrentDictionary<UeventListener, byte> _listeners = new();

    public UeventListener Listen()
    {
        var listener = new UeventListener(gone => _listeners.TryRemove(gone, out _));
        _listeners[listener] = 0;
        return listener;
    }

    public void Publish(Uevent uevent)
    {
        foreach (var listener in _listeners.Keys) listener.Offer(uevent);
    }
}

/// <summary>One listener's queue of at most 256 events. For one reader.</summary>
public sealed class UeventListener : IDisposable
{
    internal const int Capacity = 256;
    private readonly Channel<Uevent> _queue = Channel.CreateBounded<Uevent>(Capacity);
    private readonly Action<UeventListener> _leave;

    internal UeventListener(Action<UeventListener> leave) => _leave = leave;

    /// <summary>Events as they come, until cancelled.</summary>
    public IAsyncEnumerable<Uevent> ReadAllAsync(CancellationToken cancellationToken) => _queue.Reader.ReadAllAsync(cancellationToken);

    /// <summary>Returns once an event that is wanted, or a rescan, has come, or the time is over: in both cases it is time to look.</summary>
    /// <param name="bound">How long to wait at most, as events can be lost.</param>
    /// <returns>False when the time was over.</returns>
    public async Task<bool> WaitAsync(Func<Uevent, bool> isWanted, TimeSpan bound, TimeProvider clock, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(bound, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            while (await _queue.Reader.WaitToReadAsync(either.Token))
            {
                // All that wait already are answered by one look.
                var wanted = false;
                while (_queue.Reader.TryRead(out var uevent)) wanted |= uevent.IsRescan || isWanted(uevent);
                if (wanted) return true;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The time is over.
        }

        return false;
    }

    public void Dispose()
    {
        _leave(this);
        _queue.Writer.TryComplete();
    }

    internal void Offer(Uevent uevent)
    {
        if (_queue.Writer.TryWrite(uevent)) return;
        while (_queue.Reader.TryRead(out _))
        {
            // Emptied: the rescan says more than what was in it.
        }

        _queue.Writer.TryWrite(Uevent.Rescan);
    }
}
