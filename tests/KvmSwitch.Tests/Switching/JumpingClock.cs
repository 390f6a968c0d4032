using Microsoft.Extensions.Time.Testing;

namespace KvmSwitch.Tests.Switching;

/// <summary>A fake clock whose wall time can jump while its monotonic time, and its timers, go on.</summary>
internal sealed class JumpingClock : TimeProvider
{
    private readonly FakeTimeProvider _steady = new(new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
    private TimeSpan _offset;

    public override long TimestampFrequency => _steady.TimestampFrequency;

    public void Jump(TimeSpan by) => _offset += by;

    public void Advance(TimeSpan by) => _steady.Advance(by);

    public override DateTimeOffset GetUtcNow() => _steady.GetUtcNow() + _offset;

    public override long GetTimestamp() => _steady.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        _steady.CreateTimer(callback, state, dueTime, period);
}
