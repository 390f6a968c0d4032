using System.Diagnostics;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.InputTrial;

/// <summary>Someone who listens to an event node: the host's desktop, or QEMU.</summary>
internal sealed class NodeReader(IEvdevNode node) : IDisposable
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private readonly InputEvent[] _batch = new InputEvent[64];
    private readonly List<string> _keys = [];

    public IEvdevNode Node => node;

    /// <summary>What was heard since the last call, as <c>+30 -30</c>, once it is as long as this or nothing more comes for a while. Repeats are <c>*30</c>.</summary>
    public string Hear(int expected)
    {
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < (_keys.Count < expected ? Deadline : Quiet))
        {
            if (!TryTake()) Thread.Yield();
        }

        var heard = string.Join(' ', _keys);
        _keys.Clear();
        return heard;
    }

    /// <summary>Spins until a key event comes; the time that took since a moment.</summary>
    public TimeSpan TimeUntilKey(long since)
    {
        var before = _keys.Count;
        while (_keys.Count == before && Stopwatch.GetElapsedTime(since) < Deadline) _ = TryTake();
        var time = Stopwatch.GetElapsedTime(since);
        _keys.Clear();
        return time;
    }

    public void Dispose() => node.Dispose();

    private bool TryTake()
    {
        var count = node.Read(_batch);
        foreach (var one in _batch.AsSpan(0, Math.Max(0, count)))
        {
            if (one.Type == EventType.Key) _keys.Add($"{(one.Value == 0 ? '-' : one.Value == 1 ? '+' : '*')}{one.Code}");
        }

        return count > 0;
    }
}
