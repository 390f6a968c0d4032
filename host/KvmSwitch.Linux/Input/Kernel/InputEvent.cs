using System.Runtime.InteropServices;

namespace KvmSwitch.Linux.Input;

/// <summary>struct input_event of linux/input.h with 64-bit times: 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct InputEvent(long Seconds, long Microseconds, ushort Type, ushort Code, int Value)
{
    public InputEvent(ushort type, ushort code, int value)
        : this(0, 0, type, code, value)
    {
    }

    /// <summary>Ends a frame of events that belong together.</summary>
    public static InputEvent Report => new(EventType.Synchronization, EventCode.SynReport, 0);

    /// <summary>Since an arbitrary moment, the same for all devices (CLOCK_MONOTONIC). Nonsense of a device gives nonsense, never an error.</summary>
    public long Milliseconds => unchecked((Seconds * 1000) + (Microseconds / 1000));

    /// <inheritdoc cref="Milliseconds"/>
    public long Microtime => unchecked((Seconds * 1_000_000) + Microseconds);
}

/// <summary>Types of input events that we know (linux/input-event-codes.h).</summary>
public static class EventType
{
    public const ushort Synchronization = 0x00;
    public const ushort Key = 0x01;
    public const ushort Relative = 0x02;
    public const ushort Absolute = 0x03;
    public const ushort Miscellaneous = 0x04;
    public const ushort Switch = 0x05;
    public const ushort Led = 0x11;
    public const ushort Repeat = 0x14;
}

/// <summary>Codes that mean something to us (linux/input-event-codes.h).</summary>
internal static class EventCode
{
    public const ushort SynReport = 0;
    public const ushort SynDropped = 3;
    public const ushort KeyScrollLock = 70;
    public const ushort AbsMtSlot = 0x2f;
    public const ushort AbsMtTrackingId = 0x39;

    /// <summary>Keys below are those of keyboards; from here on there are buttons, and special keys that no chord names.</summary>
    public const ushort FirstButton = 0x100;
}
