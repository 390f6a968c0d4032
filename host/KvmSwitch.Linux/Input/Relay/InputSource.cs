namespace KvmSwitch.Linux.Input;

/// <summary>
/// One physical event node that we listen to, and where its events go: every key to the hotkeys, and all of it to the clone while
/// its device is lent. For the loop that reads input. Nothing allocates per event.
/// </summary>
internal sealed class InputSource : IPollee, IDisposable
{
    public const int BatchSize = 64;

    // Four times what the kernel keeps for one reader at most times: so a device that floods can't hold us.
    private const int DrainLimit = 16;
    private readonly InputEvent[] _batch = new InputEvent[BatchSize];
    private readonly KeySet _now = new();
    private readonly HotkeyListener _hotkeys;
    private readonly int _number;
    private readonly Action _hush;
    private bool _isDropped;

    /// <param name="number">Tells it from all other sources.</param>
    /// <param name="hush">Called when a chord stands.</param>
    public InputSource(int number, IEvdevNode device, HotkeyListener hotkeys, Action hush)
    {
        _number = number;
        Device = device;
        _hotkeys = hotkeys;
        _hush = hush;
        // What is down already began before we listened; it is nobody's chord.
        _ = device.ReadKeys(Held);
    }

    public IEvdevNode Device { get; }

    public System.Runtime.InteropServices.SafeHandle Handle => Device.Handle;

    /// <summary>The keys that are down, as far as was read.</summary>
    public KeySet Held { get; } = new();

    /// <summary>Where its events go while lent.</summary>
    public RelayNode? Relay { get; set; }

    /// <summary>Called after each reading.</summary>
    public Action? Pumped { get; init; }

    /// <summary>Reads once. False: the device has gone.</summary>
    public bool Pump()
    {
        var count = Device.Read(_batch);
        for (var i = 0; i < count; i++) Take(in _batch[i]);
        Relay?.Flush();
        Pumped?.Invoke();
        return count >= 0;
    }

    /// <summary>Forgets what waits to be read, and takes the kernel's word for which keys are down.</summary>
    /// <returns>False: the device has gone.</returns>
    public bool Drain()
    {
        for (var i = 0; i < DrainLimit && Device.Read(_batch) > 0; i++)
        {
            // Of the time before: not to be relayed.
        }

        return Resync();
    }

    /// <summary>Takes the kernel's word for which keys are down. Key events that wait to be read are forgotten.</summary>
    /// <returns>False: the device has gone.</returns>
    public bool Resync()
    {
        if (!Device.ReadKeys(_now)) return false;
        if (_now.SetEquals(Held)) return true;
        SpoilGesture();
        Held.CopyFrom(_now);
        return true;
    }

    /// <summary>What is down now will be released by us, and must not complete a chord by that.</summary>
    public void SpoilGesture() => _hotkeys.Lose(_number);

    public void Dispose()
    {
        _hotkeys.Lose(_number);
        Device.Dispose();
    }

    private void Take(in InputEvent one)
    {
        if (_isDropped)
        {
            // What is between SYN_DROPPED and the next report is incomplete.
            if (one is not { Type: EventType.Synchronization, Code: EventCode.SynReport }) return;
            _isDropped = false;
            SpoilGesture();
            _ = Resync();
            Relay?.Resync(Held);
            return;
        }

        switch (one.Type)
        {
            case EventType.Key when one.Value is 0 or 1:
                TakeKey(in one);
                break;
            case EventType.Synchronization when one.Code == EventCode.SynDropped:
                _isDropped = true;
                break;
            case EventType.Synchronization or EventType.Relative or EventType.Absolute or EventType.Miscellaneous or EventType.Switch:
                Relay?.Forward(in one);
                break;
        }
    }

    private void TakeKey(in InputEvent one)
    {
        var isDown = one.Value == 1;
        // A press of what is down, a release of what is up, or no key at all: nothing has changed.
        if (!(isDown ? Held.Add(one.Code) : Held.Remove(one.Code))) return;
        _hotkeys.Take(_number, Device.Node, one.Code, isDown, one.Milliseconds, Held);
        if (isDown && _hotkeys.IsStanding) _hush();
        Relay?.TakeKey(in one, isDown);
    }
}
