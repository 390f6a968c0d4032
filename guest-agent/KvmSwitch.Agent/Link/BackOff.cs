namespace KvmSwitch.Agent.Link;

/// <summary>How long to wait before the next attempt: doubling from 100 ms to 2 s, half of it at random, so that many guests don't knock in step.</summary>
internal sealed class BackOff
{
    public static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    private TimeSpan next = First;

    public void Reset() => next = First;

    /// <param name="random">From 0 to 1.</param>
    public TimeSpan Next(double random)
    {
        var delay = next * (0.5 + (random / 2));
        next = next * 2 < Longest ? next * 2 : Longest;
        return delay;
    }
}
