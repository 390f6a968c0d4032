namespace KvmSwitch.Linux.Input;

/// <summary>What became of grabbing one node for a machine.</summary>
internal enum LendOutcome
{
    Lent,

    /// <summary>Another program has it.</summary>
    Busy,

    /// <summary>Unplugged.</summary>
    Gone,

    /// <summary>A key went down at that very moment: whether the host has seen it, nobody knows.</summary>
    KeyDown,
}

/// <summary>
/// A clone, and the physical node whose events it repeats while lent. The clone stays when the physical node goes. Every key that
/// went down in the clone goes up in it, whatever happens. For the loop that reads input.
/// </summary>
/// <param name="slot">Its number among all clones that the device ever had: never used again.</param>
internal sealed class RelayNode(int slot, IVirtualInput clone) : IPollee, IDisposable
{
    private const int LedCount = 16;
    private readonly InputEvent[] _frame = new InputEvent[InputSource.BatchSize + 2];
    private readonly InputEvent[] _told = new InputEvent[LedCount];
    private readonly KeySet _sent = new();
    private readonly KeySet _scratch = new();
    private int _count;
    private uint _leds;
    private KeySet? _caught;
    private GrabbedNode? _leaving;

    public int Slot => slot;

    public IVirtualInput Clone => clone;

    public System.Runtime.InteropServices.SafeHandle Handle => clone.Handle;

    public InputSource? Source { get; private set; }

    /// <summary>QEMU was told of it: only then may the physical node be grabbed, or its keys would arrive nowhere.</summary>
    public bool IsOffered { get; set; }

    /// <summary>Nobody but us hears the physical node.</summary>
    public bool IsGrabbed { get; private set; }

    /// <summary>What is read goes into the clone.</summary>
    public bool IsForwarding { get; private set; }

    /// <summary>Keys of the keyboard aren't passed on, as they belong to a chord.</summary>
    public bool IsHushed { get; set; }

    /// <summary>The kernel refused events for the clone.</summary>
    public bool HasFailed { get; private set; }

    public void Connect(InputSource source)
    {
        Source = source;
        source.Relay = this;
    }

    /// <summary>The physical node has gone, and the grab with it.</summary>
    public void Disconnect()
    {
        Silence();
        Source?.Relay = null;
        Source = null;
        IsGrabbed = false;
        _leaving = null;
    }

    /// <summary>Takes the physical node from the host. A key that is down is released on the host first.</summary>
    public LendOutcome Lend()
    {
        if (Source is null || !GrabbedNode.ReleaseKeys(Source.Device, _scratch)) return LendOutcome.Gone;
        switch (Source.Device.Grab())
        {
            case GrabOutcome.Busy: return LendOutcome.Busy;
            case GrabOutcome.Gone: return LendOutcome.Gone;
        }

        IsGrabbed = true;
        // Also where it goes back at once: it gets back the leds that it has now.
        _leds = Source.Device.ReadLeds();
        if (!Source.Drain()) return LendOutcome.Gone;
        if (!Source.Held.IsEmpty)
        {
            _caught = new();
            _caught.CopyFrom(Source.Held);
            return LendOutcome.KeyDown;
        }

        return LendOutcome.Lent;
    }

    /// <summary>From now on the clone gets what is read.</summary>
    public void BeginForwarding()
    {
        if (!IsGrabbed || IsForwarding || Source is null) return;
        IsForwarding = true;
        IsHushed = false;
        // The kernel leaves out of a frame what hasn't changed, so the clone must know where the axes stand.
        foreach (var code in clone.Spec.Capabilities.Axes.Keys)
        {
            if (code < EventCode.AbsMtSlot && Source.Device.TryReadAxis(code, out var value)) Append(new(EventType.Absolute, code, value));
        }

        EndFrame();
        Flush();
    }

    /// <summary>The clone gets nothing more, and what is down in it goes up.</summary>
    public void Silence()
    {
        if (!IsForwarding) return;
        IsForwarding = false;
        Flush();
        ReleaseSent(KeySet.Capacity - 1);
        LiftTouches();
        EndFrame();
        Flush();
    }

    /// <summary>
    /// What is needed to give the physical node back; null: there is nothing to give back. Until it is let go the clone still gets what is
    /// read: so there is no moment in which nobody hears it. Chords that are held have no effect.
    /// </summary>
    public GrabbedNode? BeginLettingGo()
    {
        if (!IsGrabbed || Source is null) return null;
        if (!Source.Held.IsEmpty) Source.SpoilGesture();
        var caught = _caught;
        _caught = null;
        return _leaving = new(Source.Device, _leds, caught);
    }

    public void EndLettingGo()
    {
        Silence();
        IsGrabbed = false;
        _leaving = null;
        // Events were forgotten while it was let go.
        _ = Source?.Resync();
    }

    public void Forward(in InputEvent one)
    {
        if (!IsForwarding || _leaving?.IsOver(in one) == true) return;
        if (one is { Type: EventType.Synchronization, Code: EventCode.SynReport })
        {
            EndFrame();
        }
        else
        {
            Append(in one);
        }
    }

    public void TakeKey(in InputEvent one, bool isDown)
    {
        if (!IsForwarding || one.Code == EventCode.KeyScrollLock || _leaving?.IsOver(in one) == true) return;
        // What hasn't gone down in the clone doesn't go up in it.
        if (isDown ? (!IsHushed || one.Code >= EventCode.FirstButton) && _sent.Add(one.Code) : _sent.Remove(one.Code)) Append(in one);
    }

    /// <summary>Events were lost: makes the keys that are down in the clone those that are.</summary>
    public void Resync(KeySet held)
    {
        if (!IsForwarding || _leaving is { IsLetGo: true }) return;
        for (var code = _sent.AtMost(KeySet.Capacity - 1); code >= 0; code = _sent.AtMost(code - 1))
        {
            if (!held.Contains(code)) TakeKey(new(EventType.Key, (ushort)code, 0), isDown: false);
        }

        for (var code = held.AtMost(KeySet.Capacity - 1); code >= 0; code = held.AtMost(code - 1))
            TakeKey(new(EventType.Key, (ushort)code, 1), isDown: true);
        EndFrame();
    }

    /// <summary>The keys of a chord go up in the clone: none shall stick there.</summary>
    public void Hush()
    {
        IsHushed = true;
        ReleaseSent(EventCode.FirstButton - 1);
        EndFrame();
        Flush();
    }

    public void Flush()
    {
        if (_count == 0) return;
        var count = _count;
        _count = 0;
        HasFailed |= !TryWrite(_frame.AsSpan(0, count));
    }

    /// <summary>Leds that the guest sets in the clone are set on the device.</summary>
    public bool Pump()
    {
        var count = clone.Read(_told);
        var lit = 0;
        for (var i = 0; i < count; i++)
        {
            if (_told[i].Type == EventType.Led && _told[i].Code < LedCount) _told[lit++] = _told[i];
        }

        if (lit == 0 || !IsForwarding || Source is null || _leaving is not null) return true;
        _ = Source.Device.Inject(_told.AsSpan(0, lit));
        _told[0] = InputEvent.Report;
        _ = Source.Device.Inject(_told.AsSpan(0, 1));
        return true;
    }

    /// <summary>Sets the leds of the lock keys on the device. The kernel passes on what changes, where there is such a led.</summary>
    public void ShowLeds(LockLeds lit)
    {
        if (!IsForwarding || Source is null || _leaving is not null) return;
        Span<InputEvent> frame = stackalloc InputEvent[4];
        for (ushort code = 0; code < 3; code++) frame[code] = new(EventType.Led, code, (int)lit >> code & 1);
        frame[3] = InputEvent.Report;
        _ = Source.Device.Inject(frame);
    }

    public void Dispose() => clone.Dispose();

    private bool TryWrite(ReadOnlySpan<InputEvent> events)
    {
        try
        {
            return clone.Write(events);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    // The highest code first: Meta and Alt go up while Ctrl or Shift is still down, so that no menu opens in the guest.
    private void ReleaseSent(int highest)
    {
        for (var code = _sent.AtMost(highest); code >= 0; code = _sent.AtMost(code - 1))
        {
            _sent.Remove(code);
            Append(new(EventType.Key, (ushort)code, 0));
        }
    }

    // Where no finger is, the kernel leaves this out.
    private void LiftTouches()
    {
        if (!clone.Spec.Capabilities.Axes.TryGetValue(EventCode.AbsMtSlot, out var slots)) return;
        for (var touch = slots.Minimum; touch <= Math.Min(slots.Maximum, slots.Minimum + 31); touch++)
        {
            Append(new(EventType.Absolute, EventCode.AbsMtSlot, touch));
            Append(new(EventType.Absolute, EventCode.AbsMtTrackingId, -1));
        }
    }

    private void EndFrame()
    {
        // A report alone says nothing.
        if (_count == 0 || _frame[_count - 1] is { Type: EventType.Synchronization, Code: EventCode.SynReport }) return;
        Append(InputEvent.Report);
    }

    private void Append(in InputEvent one)
    {
        if (_count == _frame.Length) Flush();
        _frame[_count++] = one;
    }
}
