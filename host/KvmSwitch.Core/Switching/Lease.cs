namespace KvmSwitch.Core;

/// <summary>How long agents may be silent.</summary>
/// <param name="Timeout">Silence after which a guest has lost its lease.</param>
/// <param name="ReconnectGrace">How long agents have to come back after the daemon started anew.</param>
public sealed record LeaseTimes(TimeSpan Timeout, TimeSpan ReconnectGrace)
{
    public static LeaseTimes Default { get; } = new(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(5));
}

/// <summary>One machine's lease: kept alive by its agent's heartbeats, void after a reset of the guest. Times are monotonic.</summary>
internal sealed class Lease(TimeProvider clock, LeaseTimes times)
{
    private long _session;
    private long _expires;

    /// <summary>The agent's heartbeats come in time.</summary>
    public bool IsLive { get; private set; }

    /// <summary>The agent isn't here yet, but devices may stay until <see cref="Left"/> is over.</summary>
    public bool IsAwaited { get; private set; }

    /// <summary>What is left of the lease; null when there is none.</summary>
    public TimeSpan? Left => IsLive || IsAwaited ? clock.GetElapsedTime(clock.GetTimestamp(), _expires) : null;

    public void Await()
    {
        IsAwaited = true;
        ExpireAfter(times.ReconnectGrace);
    }

    public void Connect(long session) => _session = session;

    /// <summary>The agent may come back before the lease runs out.</summary>
    public void Disconnect(long session)
    {
        if (session != _session) return;
        _session = 0;
        if (IsLive) (IsLive, IsAwaited) = (false, true);
    }

    /// <summary>Returns whether the lease became alive by this heartbeat.</summary>
    public bool Renew(long session)
    {
        if (session != _session || _session == 0) return false;
        var became = !IsLive;
        (IsLive, IsAwaited) = (true, false);
        ExpireAfter(times.Timeout);
        return became;
    }

    /// <summary>The guest that kept it is gone: later heartbeats of that session don't count.</summary>
    public void Void() => (_session, IsLive, IsAwaited) = (0, false, false);

    /// <summary>Returns whether it ran out just now. A session that comes back to life later renews it.</summary>
    public bool Expire()
    {
        if (Left is not { } left || left > TimeSpan.Zero) return false;
        (IsLive, IsAwaited) = (false, false);
        return true;
    }

    private void ExpireAfter(TimeSpan time) =>
        _expires = clock.GetTimestamp() + (long)(time.TotalSeconds * clock.TimestampFrequency);
}
