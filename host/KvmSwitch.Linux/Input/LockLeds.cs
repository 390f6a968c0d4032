namespace KvmSwitch.Linux.Input;

/// <summary>The leds of the lock keys: the bit of each is its code (linux/input-event-codes.h).</summary>
[Flags]
public enum LockLeds
{
    None = 0,
    Num = 1,
    Caps = 2,
    Scroll = 4,
}
