namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>So many in a row, and so many a second from then on. For one thread at a time.</summary>
internal sealed class Allowance(int inARow, double perSecond, TimeProvider time)
{
    private double left = inARow;
    private long last = time.GetTimestamp();

    public bool TryTake()
    {
        var now = time.GetTimestamp();
        left = Math.Min(inARow, left + (time.GetElapsedTime(last, now).TotalSeconds * perSecond));
        last = now;
        if (left < 1)
            return false;
        left--;
        return true;
    }
}
