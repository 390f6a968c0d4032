using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Hotkeys;

/// <summary>The keyboard as user32 shows it to the thread that calls.</summary>
[SupportedOSPlatform("windows")]
internal sealed class SessionKeyboard : ISessionKeyboard
{
    private const uint NoRepeat = 0x4000;
    private const int AlreadyRegistered = 1409;

    public string? Register(int id, KeyCombination combination)
    {
        if (HotkeyNative.RegisterHotKey(0, id, (uint)combination.Modifiers | NoRepeat, combination.Key))
            return null;
        var error = Marshal.GetLastPInvokeError();
        return error == AlreadyRegistered ? "another program has it" : $"Windows refuses it ({new Win32Exception(error).Message.TrimEnd('.')})";
    }

    public void Unregister(int id) => HotkeyNative.UnregisterHotKey(0, id);

    public bool IsDown(byte virtualKey) => HotkeyNative.GetAsyncKeyState(virtualKey) < 0;

    public void Release(IReadOnlyList<byte> virtualKeys)
    {
        var inputs = virtualKeys.Select(HotkeyNative.KeyUp).ToArray();
        // Fewer than asked for: another program of higher integrity has the foreground, and nothing more can be done from here.
        _ = HotkeyNative.SendInput((uint)inputs.Length, inputs, Marshal.SizeOf<HotkeyNative.KeyboardInput>());
    }
}
