namespace KvmSwitch.Linux.Input;

/// <summary>A physical node that only we hear, and what it takes to give it back as it was.</summary>
/// <param name="Leds">Lit when it was taken.</param>
/// <param name="Caught">Keys that went down while it was being taken; null: none.</param>
internal sealed record GrabbedNode(IEvdevNode Device, uint Leds, KeySet? Caught)
{
    private const int LedCount = 16;
    private long _end = long.MaxValue;

    /// <summary>The host hears it from now on, or will in a moment.</summary>
    public bool IsLetGo => Volatile.Read(ref _end) != long.MaxValue;

    /// <summary>Whether the host has heard this event too, or nobody: then it isn't the machine's.</summary>
    public bool IsOver(in InputEvent one) => one.Microtime >= Volatile.Read(ref _end);

    /// <summary>Releases the keys that are down, for whoever hears the device. Their real release later changes nothing then, so nobody hears of it.</summary>
    /// <returns>False: the device has gone.</returns>
    public static bool ReleaseKeys(IEvdevNode device, KeySet scratch, KeySet? except = null)
    {
        if (!device.PeekKeys(scratch)) return false;
        if (except is not null) scratch.ExceptWith(except);
        var last = scratch.AtMost(KeySet.Capacity - 1);
        for (var code = last; code >= 0; code = scratch.AtMost(code - 1))
        {
            if (!device.Inject([new(EventType.Key, (ushort)code, 0)])) return false;
        }

        return last < 0 || device.Inject([InputEvent.Report]);
    }

    /// <summary>Gives it back to the host. The host hears it at once, but it takes some 30 ms (a grace period of the kernel's RCU), in which the reading of input must go on.</summary>
    public void LetGo()
    {
        // While only we hear it: so keys that are still down never arrive at the host, nor do their repeats.
        _ = ReleaseKeys(Device, new(), Caught);
        RestoreLeds();
        Volatile.Write(ref _end, Device.Microtime);
        Device.Ungrab();
        if (Caught is not null) MakeUp(Caught);
    }

    /// <summary>The host may have seen these go down, or not. What is still down is released; what isn't is pressed for it as well.</summary>
    private void MakeUp(KeySet caught)
    {
        var now = new KeySet();
        if (!Device.PeekKeys(now)) return;
        for (var code = caught.AtMost(KeySet.Capacity - 1); code >= 0; code = caught.AtMost(code - 1))
        {
            if (!now.Contains(code)) _ = Device.Inject([new(EventType.Key, (ushort)code, 1), InputEvent.Report]);
            _ = Device.Inject([new(EventType.Key, (ushort)code, 0), InputEvent.Report]);
        }
    }

    private void RestoreLeds()
    {
        var now = Device.ReadLeds();
        for (ushort code = 0; code < LedCount; code++)
        {
            if (((now ^ Leds) >> code & 1) != 0) _ = Device.Inject([new(EventType.Led, code, (int)(Leds >> code & 1)), InputEvent.Report]);
        }
    }
}
