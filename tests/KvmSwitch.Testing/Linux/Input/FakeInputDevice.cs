using System.Runtime.InteropServices;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.Testing.Linux.Input;

/// <summary>
/// A physical input device, as the kernel's input core keeps it (drivers/input/input.c and evdev.c): what changes nothing is not
/// passed on, a grab silences all others, injected events count as the device's own, asking for keys forgets key events in the queue.
/// </summary>
public sealed class FakeInputDevice
{
    private readonly Lock _gate = new();
    private readonly List<OpenNode> _open = [];
    private readonly HashSet<int> _down = [];
    private readonly HashSet<int> _held = [];
    private uint _leds;
    private OpenNode? _grabber;
    private bool _isGone;

    // Zero is the time of what was never an event of the device: what is made up after lost events.
    private long _clock = 1;

    public FakeInputDevice(InputNode node, InputCapabilities capabilities)
    {
        Node = node;
        Capabilities = capabilities;
    }

    public InputNode Node { get; internal set; }

    public InputCapabilities Capabilities { get; }

    /// <summary>What the host's programs hear.</summary>
    public EventLog Host { get; init; } = new();

    /// <summary>Keys that a finger is on.</summary>
    public IReadOnlySet<int> Held
    {
        get
        {
            lock (_gate) return _held.ToHashSet();
        }
    }

    public uint Leds
    {
        get
        {
            lock (_gate) return _leds;
        }
    }

    public bool IsGrabbed
    {
        get
        {
            lock (_gate) return _grabber is not null;
        }
    }

    /// <summary>Somebody has read from it, if only to find nothing, or asked for its keys.</summary>
    public bool IsListenedTo { get; private set; }

    /// <summary>Another program has it.</summary>
    public bool IsTaken { get; set; }

    /// <summary>Happens once, just before the next grab.</summary>
    public Action? BeforeGrab { get; set; }

    /// <summary>Happens once, just after the next grab.</summary>
    public Action? AfterGrab { get; set; }

    /// <summary>Happens each time that it was let go, before the one who did may go on: the kernel takes its time there.</summary>
    public Action? AfterUngrab { get; set; }

    /// <summary>Milliseconds that are between events from now on.</summary>
    public long Pace { get; set; } = 1;

    /// <summary>Tells each event of the device from all others: its time.</summary>
    public long Clock
    {
        get => _clock;
        set => _clock = value;
    }

    public void Press(int key) => ByFinger(() =>
    {
        if (_held.Add(key)) Handle(EventType.Key, (ushort)key, 1);
    });

    public void Release(int key) => ByFinger(() =>
    {
        if (_held.Remove(key)) Handle(EventType.Key, (ushort)key, 0);
    });

    /// <summary>The host has its leds so.</summary>
    public void Set(LockLeds leds)
    {
        lock (_gate) _leds = (uint)leds;
    }

    public void Move(ushort axis, int by) => ByFinger(() => Deliver(Stamp(EventType.Relative, axis, by)));

    /// <summary>A key that is held repeats.</summary>
    public void Repeat(int key) => ByFinger(() =>
    {
        if (_down.Contains(key)) Deliver(Stamp(EventType.Key, (ushort)key, 2));
    });

    /// <summary>Those who read are told that their queue ran over, and lose what was in it.</summary>
    public void Overrun() => ByFinger(() =>
    {
        foreach (var node in _open) node.Overrun();
    });

    /// <summary>Writes bytes of any kind into all queues.</summary>
    public void SendGarbage(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            foreach (var node in _open) node.Pipe.WriteBytes(bytes);
        }
    }

    /// <summary>Sends one event as it is, whatever it says.</summary>
    public void Send(InputEvent one)
    {
        lock (_gate)
        {
            foreach (var node in _open) node.Pipe.Write(one);
        }
    }

    public void Unplug()
    {
        lock (_gate)
        {
            _isGone = true;
            // The kernel releases what is down, for whoever hears the device.
            foreach (var key in _down.ToArray()) Handle(EventType.Key, (ushort)key, 0);
            // And a desktop releases what it believes to be down on a device that leaves (libinput does).
            foreach (var key in Host.Down) Host.Add(Stamp(EventType.Key, (ushort)key, 0));
            _held.Clear();
            _grabber = null;
            foreach (var node in _open) node.Pipe.End();
        }
    }

    internal IEvdevNode? Open()
    {
        lock (_gate)
        {
            if (_isGone) return null;
            var node = new OpenNode(this);
            _open.Add(node);
            return node;
        }
    }

    private void ByFinger(Action act)
    {
        lock (_gate)
        {
            if (_isGone) return;
            act();
            Deliver(Stamp(EventType.Synchronization, 0, 0));
            _clock += Pace;
        }
    }

    private InputEvent Stamp(ushort type, ushort code, int value) => new(_clock / 1000, _clock % 1000 * 1000, type, code, value);

    private void Handle(ushort type, ushort code, int value)
    {
        if (type == EventType.Key && !(value == 1 ? _down.Add(code) : value == 0 && _down.Remove(code))) return;
        if (type == EventType.Led)
        {
            var leds = value == 0 ? _leds & ~(1u << code) : _leds | 1u << code;
            if (leds == _leds) return;
            _leds = leds;
        }

        Deliver(Stamp(type, code, value));
    }

    private void Deliver(InputEvent one)
    {
        if (_grabber is not null)
        {
            _grabber.Pipe.Write(one);
            return;
        }

        Host.Add(one);
        foreach (var node in _open) node.Pipe.Write(one);
    }

    private sealed class OpenNode(FakeInputDevice device) : IEvdevNode
    {
        public EventPipe Pipe { get; } = new();

        public InputNode Node { get; } = device.Node;

        public InputCapabilities Capabilities => device.Capabilities;

        public SafeHandle Handle => Pipe.Reader;

        public long Microtime => device.Clock * 1000;

        public int Read(Span<InputEvent> events)
        {
            lock (device._gate) return Pipe.Read(events);
        }

        public bool Inject(ReadOnlySpan<InputEvent> events)
        {
            lock (device._gate)
            {
                ObjectDisposedException.ThrowIf(Pipe.Reader.IsClosed, this);
                if (device._isGone) return false;
                if (device._grabber is not null && device._grabber != this) return true;
                foreach (var one in events) device.Handle(one.Type, one.Code, one.Value);
                return true;
            }
        }

        public GrabOutcome Grab()
        {
            Once(device.BeforeGrab, () => device.BeforeGrab = null);
            lock (device._gate)
            {
                if (device._isGone) return GrabOutcome.Gone;
                if (device.IsTaken || device._grabber is not null) return GrabOutcome.Busy;
                device._grabber = this;
            }

            Once(device.AfterGrab, () => device.AfterGrab = null);
            return GrabOutcome.Granted;
        }

        public void Ungrab()
        {
            lock (device._gate)
            {
                ObjectDisposedException.ThrowIf(Pipe.Reader.IsClosed, this);
                if (device._grabber == this) device._grabber = null;
            }

            device.AfterUngrab?.Invoke();
        }

        public bool ReadKeys(KeySet keys)
        {
            lock (device._gate)
            {
                ObjectDisposedException.ThrowIf(Pipe.Reader.IsClosed, this);
                keys.Clear();
                device.IsListenedTo = true;
                if (device._isGone) return false;
                foreach (var key in device._down) keys.Add(key);
                foreach (var one in Empty().Where(one => one.Type != EventType.Key)) Pipe.Write(one);
                return true;
            }
        }

        public bool PeekKeys(KeySet keys)
        {
            lock (device._gate)
            {
                ObjectDisposedException.ThrowIf(Pipe.Reader.IsClosed, this);
                keys.Clear();
                if (device._isGone) return false;
                foreach (var key in device._down) keys.Add(key);
                return true;
            }
        }

        public uint ReadLeds() => device.Leds;

        public bool TryReadAxis(ushort code, out int value)
        {
            var isThere = device.Capabilities.Axes.TryGetValue(code, out var axis);
            value = axis.Value;
            return isThere;
        }

        public void KeysOnly()
        {
            // The rest is sent all the same: who asked must bear it, as on an old kernel.
        }

        public void Overrun()
        {
            _ = Empty();
            Pipe.Write(device.Stamp(EventType.Synchronization, 3, 0));
        }

        public void Dispose()
        {
            lock (device._gate)
            {
                if (device._grabber == this) device._grabber = null;
                device._open.Remove(this);
                Pipe.Dispose();
            }
        }

        private static void Once(Action? action, Action forget)
        {
            forget();
            action?.Invoke();
        }

        private List<InputEvent> Empty()
        {
            var all = new List<InputEvent>();
            var batch = new InputEvent[64];
            for (var count = Pipe.Read(batch); count > 0; count = Pipe.Read(batch)) all.AddRange(batch.AsSpan(0, count));
            return all;
        }
    }
}
