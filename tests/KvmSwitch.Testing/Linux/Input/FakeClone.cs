using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.Testing.Linux.Input;

/// <summary>A virtual device, and what the guest hears of it.</summary>
public sealed class FakeClone : IVirtualInput
{
    private readonly EventPipe _told = new();
    private readonly HashSet<int> _down = [];

    internal FakeClone(CloneSpec spec, int number)
    {
        Spec = spec;
        Event = $"event{number}";
        Input = $"input{number}";
        Path = $"/dev/input/{Event}";
    }

    public CloneSpec Spec { get; }

    public string Event { get; }

    public string Input { get; }

    public string Path { get; }

    public SafeHandle Handle => _told.Reader;

    /// <summary>What whoever holds the clone hears.</summary>
    public EventLog Guest { get; } = new();

    /// <summary>Who owns the node, in the order of change.</summary>
    public ConcurrentQueue<(uint User, uint Group)> Owners { get; } = new();

    /// <summary>The kernel takes nothing any more.</summary>
    public bool IsBroken { get; set; }

    public bool IsDisposed { get; private set; }

    /// <summary>How often it was written to.</summary>
    public int Writes { get; private set; }

    public bool Write(ReadOnlySpan<InputEvent> events)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (IsBroken) return false;
        Writes++;
        foreach (var one in events)
        {
            if (one.Type == EventType.Key)
            {
                if (!Spec.Capabilities.Of(EventType.Key).Contains(one.Code)) continue;
                if (!(one.Value == 1 ? _down.Add(one.Code) : _down.Remove(one.Code))) continue;
            }

            Guest.Add(one);
        }

        return true;
    }

    public int Read(Span<InputEvent> events) => Math.Max(0, _told.Read(events));

    public void GiveTo(uint user, uint group) => Owners.Enqueue((user, group));

    /// <summary>The guest sets a led.</summary>
    public void SetLed(ushort led, bool isLit)
    {
        _told.Write(new(EventType.Led, led, isLit ? 1 : 0));
        _told.Write(InputEvent.Report);
    }

    public void Dispose()
    {
        IsDisposed = true;
        _told.Dispose();
    }
}
