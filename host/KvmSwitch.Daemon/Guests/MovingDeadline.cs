namespace KvmSwitch.Daemon.Guests;

/// <summary>
/// A deadline that is moved away again and again, as by every message of an agent. Moving it touches no timer, which would wake a thread:
/// the timer rings at the first deadline, and then goes on to the latest.
/// </summary>
/// <param name="expired">Called once for each deadline that was neither moved nor cleared in time.</param>
internal sealed class MovingDeadline(TimeProvider time, Action expired) : IDisposable
{
    private readonly Lock _gate = new();
    private ITimer? _timer;
    private long? _due;
    private long? _rings;
    private bool _disposed;

    public void Set(TimeSpan wait)
    {
        lock (_gate)
        {
            if (_disposed) return;
            _due = time.GetTimestamp() + (long)(wait.TotalSeconds * time.TimestampFrequency);
            if (_rings is not { } rings || rings > _due) RingAfter(wait);
        }
    }

    public void Clear()
    {
        lock (_gate) _due = null;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            (_disposed, _due) = (true, null);
            _timer?.Dispose();
        }
    }

    private void RingAfter(TimeSpan wait)
    {
        _rings = time.GetTimestamp() + (long)(wait.TotalSeconds * time.TimestampFrequency);
        _timer ??= time.CreateTimer(static deadline => ((MovingDeadline)deadline!).Look(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(wait, Timeout.InfiniteTimeSpan);
    }

    private void Look()
    {
        lock (_gate)
        {
            _rings = null;
            if (_due is not { } due) return;
            var left = time.GetElapsedTime(time.GetTimestamp(), due);

            // Timers count whole milliseconds.
            if (left >= TimeSpan.FromMilliseconds(1))
            {
                RingAfter(left);
                return;
            }

            _due = null;
        }

        expired();
    }
}
