using KvmSwitch.Linux.Input;

namespace KvmSwitch.Testing.Linux.Input;

/// <summary>Everything that one side heard, in order.</summary>
public sealed class EventLog
{
    private readonly Lock _gate = new();
    private readonly List<InputEvent> _events = [];

    public IReadOnlyList<InputEvent> All
    {
        get
        {
            lock (_gate) return [.. _events];
        }
    }

    /// <summary>Keys as <c>+30</c> (down) and <c>-30</c> (up), without the rest.</summary>
    public string Keys => string.Join(' ', All.Where(one => one.Type == EventType.Key).Select(one => $"{(one.Value == 0 ? '-' : one.Value == 1 ? '+' : '*')}{one.Code}"));

    /// <summary>The keys that it knows to be down.</summary>
    public IReadOnlySet<int> Down
    {
        get
        {
            var down = new HashSet<int>();
            foreach (var key in All.Where(one => one.Type == EventType.Key))
            {
                if (key.Value == 0) down.Remove(key.Code);
                else down.Add(key.Code);
            }

            return down;
        }
    }

    internal void Add(InputEvent one)
    {
        lock (_gate) _events.Add(one);
    }
}
