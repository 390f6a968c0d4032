namespace KvmSwitch.Daemon.Guests;

/// <summary>So many at once, refilled steadily. Measures with the monotonic clock: a set clock changes nothing.</summary>
internal sealed class TokenBucket(int capacity, double perSecond, TimeProvider time)
{
    private readonly Lock gate = new();
    private double tokens = capacity;
    private long filled = time.GetTimestamp();

    public bool IsEmpty
    {
        get
        {
            lock (gate)
            {
                Refill();
                return tokens < 1;
            }
        }
    }

    public bool TryTake()
    {
        lock (gate)
        {
            Refill();
            if (tokens < 1) return false;
            tokens--;
            return true;
        }
    }

    private void Refill()
    {
        var now = time.GetTimestamp();
        tokens = Math.Min(capacity, tokens + (time.GetElapsedTime(filled, now).TotalSeconds * perSecond));
        filled = now;
    }
}
