using KvmSwitch.Daemon.Guests;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Guests;

/// <summary>A deadline that is moved with every message costs no timer with every message.</summary>
public sealed class MovingDeadlineTests
{
    private readonly CountingTime _time = new();
    private int _expired;

    [Fact]
    public void It_expires_once_when_it_was_not_moved_in_time()
    {
        using var deadline = new MovingDeadline(_time, () => _expired++);
        deadline.Set(TimeSpan.FromSeconds(2));
        _time.Advance(TimeSpan.FromSeconds(1.999));
        Assert.Equal(0, _expired);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, _expired);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(1, _expired);
    }

    [Fact]
    public void Moving_it_sets_no_timer_but_for_one_in_its_length()
    {
        using var deadline = new MovingDeadline(_time, () => _expired++);
        for (var half = 0; half < 200; half++)
        {
            deadline.Set(TimeSpan.FromSeconds(10));
            _time.Advance(TimeSpan.FromSeconds(0.5));
        }

        Assert.Equal(0, _expired);
        Assert.InRange(_time.Changes, 1, 12);
        _time.Advance(TimeSpan.FromSeconds(9.499));
        Assert.Equal(0, _expired);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, _expired);
    }

    [Fact]
    public void A_nearer_one_counts_and_a_cleared_or_disposed_one_does_not()
    {
        using var deadline = new MovingDeadline(_time, () => _expired++);
        deadline.Set(TimeSpan.FromSeconds(10));
        deadline.Set(TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, _expired);
        deadline.Set(TimeSpan.FromSeconds(1));
        deadline.Clear();
        _time.Advance(TimeSpan.FromSeconds(5));
        deadline.Set(TimeSpan.FromSeconds(1));
        deadline.Dispose();
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(1, _expired);
    }

    /// <summary>Counts how often a timer is set.</summary>
    private sealed class CountingTime : FakeTimeProvider
    {
        public int Changes { get; private set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            new CountingTimer(this, base.CreateTimer(callback, state, dueTime, period));

        private sealed class CountingTimer(CountingTime time, ITimer timer) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                time.Changes++;
                return timer.Change(dueTime, period);
            }

            public void Dispose() => timer.Dispose();

            public ValueTask DisposeAsync() => timer.DisposeAsync();
        }
    }
}
