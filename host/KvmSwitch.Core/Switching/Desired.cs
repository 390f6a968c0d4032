using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>Who should own a device: the only thing that is remembered. A device that isn't listed belongs to the host.</summary>
public sealed record Desired(Owner Owner)
{
    public static Desired Home { get; } = new(Owner.Host);

    /// <summary>The end of a handoff with a time limit.</summary>
    public TimeLimit? Limit { get; init; }

    /// <summary>The handoff is not over: should the daemon die now, its devices go home, all of them.</summary>
    public bool Pending { get; init; }
}

/// <summary>When a handoff ends by itself.</summary>
/// <param name="Duration">As asked for; bounds what is left after the wall clock was set back.</param>
/// <param name="Until">Wall clock, so that it survives a restart of the daemon.</param>
public sealed record TimeLimit(TimeSpan Duration, DateTimeOffset Until)
{
    /// <summary>What is left, from 0 to <see cref="Duration"/>, whatever the clock did meanwhile.</summary>
    public TimeSpan Remaining(DateTimeOffset now) =>
        TimeSpan.FromTicks(Math.Clamp((Until - now).Ticks, 0, Math.Max(0, Duration.Ticks)));
}

/// <summary>Keeps the desired state across restarts.</summary>
public interface IStateStore
{
    /// <summary>What was saved last; empty when nothing was.</summary>
    /// <exception cref="SwitchException">There is something, but it can't be read.</exception>
    ImmutableDictionary<DeviceId, Desired> Load();

    /// <summary>Returns once the state is on the disk, whole; otherwise the old one still stands.</summary>
    /// <exception cref="IOException">The disk is full, or can't be written.</exception>
    Task SaveAsync(ImmutableDictionary<DeviceId, Desired> state, CancellationToken cancellationToken);

    /// <summary>Told when a save failed that nobody waits for.</summary>
    void ReportFailure(IOException failure);
}

/// <summary>Is told of every finished handoff.</summary>
public interface IHandoffJournal
{
    /// <summary>Must not throw and not block: it runs on the switching loop.</summary>
    void Record(Handoff handoff);

    /// <summary>A step begins. Must not throw and not block either; called from the handoffs themselves, side by side.</summary>
    void StepBegins(string handoff, Step step);
}
