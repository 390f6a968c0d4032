using System.Collections.Frozen;

namespace KvmSwitch.Agent.Windows.Hotkeys;

/// <summary>
/// Virtual keys of Windows (learn.microsoft.com/windows/win32/inputdev/virtual-key-codes) for the key codes of evdev (linux/input-event-codes.h),
/// as on a keyboard of the US layout; the keys of Japanese keyboards beside them.
/// </summary>
internal static class VirtualKeys
{
    public const byte LeftShift = 0xa0;
    public const byte RightShift = 0xa1;
    public const byte LeftControl = 0xa2;
    public const byte RightControl = 0xa3;
    public const byte LeftAlt = 0xa4;
    public const byte RightAlt = 0xa5;
    public const byte LeftWindows = 0x5b;
    public const byte RightWindows = 0x5c;

    /// <summary>What Windows makes of Pause while a Ctrl key is down (VK_CANCEL).</summary>
    public const byte Break = 0x03;
    public const byte Pause = 0x13;

    private static readonly FrozenDictionary<int, byte> Table = Build().ToFrozenDictionary();

    /// <summary>Null for a code that no key of Windows stands for.</summary>
    public static byte? Of(int evdev) => Table.TryGetValue(evdev, out var key) ? key : null;

    private static Dictionary<int, byte> Build()
    {
        var keys = new Dictionary<int, byte>();
        Row(keys, 1, 0x1b, '1', '2', '3', '4', '5', '6', '7', '8', '9', '0', 0xbd, 0xbb, 0x08, 0x09);
        Row(keys, 16, 'Q', 'W', 'E', 'R', 'T', 'Y', 'U', 'I', 'O', 'P', 0xdb, 0xdd, 0x0d, LeftControl);
        Row(keys, 30, 'A', 'S', 'D', 'F', 'G', 'H', 'J', 'K', 'L', 0xba, 0xde, 0xc0, LeftShift, 0xdc);
        Row(keys, 44, 'Z', 'X', 'C', 'V', 'B', 'N', 'M', 0xbc, 0xbe, 0xbf, RightShift, 0x6a, LeftAlt, 0x20, 0x14);
        Run(keys, 59, 0x70, 10);
        Row(keys, 69, 0x90, 0x91, 0x67, 0x68, 0x69, 0x6d, 0x64, 0x65, 0x66, 0x6b, 0x61, 0x62, 0x63, 0x60, 0x6e);
        // The key beside the left Shift, F11, F12; then Henkan, Katakana/Hiragana, Muhenkan.
        Row(keys, 86, 0xe2, 0x7a, 0x7b);
        Row(keys, 92, 0x1c, 0x15, 0x1d);
        Row(keys, 96, 0x0d, RightControl, 0x6f, 0x2c, RightAlt);
        Row(keys, 102, 0x24, 0x26, 0x21, 0x25, 0x27, 0x23, 0x28, 0x22, 0x2d, 0x2e);
        Row(keys, 113, 0xad, 0xae, 0xaf);
        Row(keys, 119, Pause);
        Row(keys, 125, LeftWindows, RightWindows, 0x5d, 0xa9);
        Row(keys, 140, 0xb7);
        Row(keys, 142, 0x5f);
        Row(keys, 155, 0xb4, 0xab);
        Row(keys, 158, 0xa6, 0xa7);
        Row(keys, 163, 0xb0, 0xb3, 0xb1, 0xb2);
        Row(keys, 172, 0xac, 0xa8);
        Run(keys, 183, 0x7c, 12);
        Row(keys, 217, 0xaa);
        return keys;
    }

    private static void Row(Dictionary<int, byte> keys, int first, params ReadOnlySpan<int> virtualKeys)
    {
        for (var index = 0; index < virtualKeys.Length; index++)
            keys.Add(first + index, (byte)virtualKeys[index]);
    }

    private static void Run(Dictionary<int, byte> keys, int first, byte virtualKey, int count)
    {
        for (var index = 0; index < count; index++)
            keys.Add(first + index, (byte)(virtualKey + index));
    }
}
