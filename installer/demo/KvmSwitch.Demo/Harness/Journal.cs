namespace KvmSwitch.Demo.Harness;

/// <summary>Entries that arrive one after the other and can be waited for. Keeps all of them: a test reads back what happened.</summary>
/// <typeparam name="T">What is written down.</typeparam>
public sealed class Journal<T>(TimeProvider? time = null)
{
    private readonly Lock _gate = new();
    private readonly List<T> _entries = [];
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private TaskCompletionSource _changed = NewSignal();
    private string? _ended;

    /// <summary>How many entries there are: pass it to <see cref="WaitForAsync"/> to wait for new ones only.</summary>
    public int Count
    {
        get { lock (_gate) { return _entries.Count; } }
    }

    /// <summary>All entries up to now.</summary>
    public IReadOnlyList<T> Entries
    {
        get { lock (_gate) { return [.. _entries]; } }
    }

    /// <summary>Waits for the first entry at or after position <paramref name="from"/> that <paramref name="match"/> accepts.</summary>
    /// <exception cref="TimeoutException">None came within <paramref name="deadline"/>.</exception>
    /// <exception cref="EndOfStreamException">The source ended, and no entry will come any more.</exception>
    public async Task<T> WaitForAsync(Func<T, bool> match, TimeSpan deadline, CancellationToken cancellation, int from = 0)
    {
        ArgumentNullException.ThrowIfNull(match);
        var started = _time.GetTimestamp();
        for (var next = from; ;)
        {
            var (fresh, changed, ended) = Look(next);
            foreach (var entry in fresh)
            {
                if (match(entry))
                {
                    return entry;
                }
            }

            next += fresh.Count;
            if (ended is not null)
            {
                throw new EndOfStreamException(ended);
            }

            await WaitForChangeAsync(changed, deadline, started, cancellation);
        }
    }

    internal void Add(T entry) => Change(() => _entries.Add(entry));

    /// <summary>Tells every waiter that nothing more comes. The first reason stays.</summary>
    internal void End(string reason) => Change(() => _ended ??= reason);

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task WaitForChangeAsync(Task changed, TimeSpan deadline, long started, CancellationToken cancellation)
    {
        var left = deadline - _time.GetElapsedTime(started);
        try
        {
            await changed.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time, cancellation);
        }
        catch (TimeoutException reason)
        {
            throw new TimeoutException($"What was waited for did not come within {deadline.TotalSeconds:0.###} s ({Count} entries came).", reason);
        }
    }

    private (List<T> Fresh, Task Changed, string? Ended) Look(int from)
    {
        lock (_gate)
        {
            return (from < _entries.Count ? _entries.GetRange(from, _entries.Count - from) : [], _changed.Task, _ended);
        }
    }

    private void Change(Action change)
    {
        TaskCompletionSource signal;
        lock (_gate)
        {
            change();
            (signal, _changed) = (_changed, NewSignal());
        }

        signal.SetResult();
    }
}
