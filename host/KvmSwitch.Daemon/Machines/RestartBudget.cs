using System.Collections.Immutable;

namespace KvmSwitch.Daemon.Machines;

/// <summary>How often a machine that crashes may be started again. Pure.</summary>
/// <param name="Crashes">When it crashed lately, as time since any fixed moment.</param>
internal sealed record RestartBudget(ImmutableArray<TimeSpan> Crashes)
{
    /// <summary>With this many crashes within <see cref="Window"/> a machine stays as it is.</summary>
    public const int Limit = 3;

    private static readonly ImmutableArray<TimeSpan> Pauses = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10)];

    public static TimeSpan Window { get; } = TimeSpan.FromMinutes(10);

    public static RestartBudget Full { get; } = new([]);

    /// <returns>What is left, and how long to wait before the next start; null when it must not be started again. Who starts it then begins anew.</returns>
    public (RestartBudget Left, TimeSpan? Pause) Crashed(TimeSpan now)
    {
        ImmutableArray<TimeSpan> recent = [.. Crashes.Where(crash => now - crash < Window), now];
        return recent.Length < Limit ? (new(recent), Pauses[recent.Length - 1]) : (Full, null);
    }
}
