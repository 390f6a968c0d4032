using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Hotkeys;

/// <summary>Calls of user32 (learn.microsoft.com/windows/win32/api/winuser).</summary>
[SupportedOSPlatform("windows")]
internal static partial class HotkeyNative
{
    public const uint Quit = 0x0012;
    public const uint HotkeyPressed = 0x0312;

    /// <summary>WM_APP: our own.</summary>
    public const uint NewState = 0x8000;

    private const uint Keyboard = 1;
    private const uint Up = 2;
    private const uint Extended = 1;
    private const uint ScanCodeOf = 4;
    private const uint ExtendedPrefix = 0xe000;

    // Read, create windows and hooks, write, switch.
    private const uint AllOfDesktop = 0x01ff;

    /// <summary>INPUT with a KEYBDINPUT; the union's largest member, MOUSEINPUT, makes it 40 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    public struct KeyboardInput
    {
        [FieldOffset(0)]
        public uint Type;

        [FieldOffset(8)]
        public ushort VirtualKey;

        [FieldOffset(10)]
        public ushort ScanCode;

        [FieldOffset(12)]
        public uint Flags;
    }

    public static KeyboardInput KeyUp(byte virtualKey)
    {
        var scan = MapVirtualKey(virtualKey, ScanCodeOf);
        var flags = (scan & 0xff00) == ExtendedPrefix ? Up | Extended : Up;
        return new() { Type = Keyboard, VirtualKey = virtualKey, ScanCode = (ushort)(scan & 0xff), Flags = flags };
    }

    /// <summary>Lets this thread, which must not have called user32 yet, see another desktop of its window station.</summary>
    public static bool TryMoveToDesktop(string name, out Win32Exception error)
    {
        var desktop = OpenDesktop(name, 0, false, AllOfDesktop);
        var moved = desktop != 0 && SetThreadDesktop(desktop);
        error = new(Marshal.GetLastPInvokeError());
        return moved;
    }

    public static void BeginFineTimers() => _ = TimeBeginPeriod(1);

    public static void EndFineTimers() => _ = TimeEndPeriod(1);

    /// <summary>A pause between two looks at the keys, while a chord is held and only then. Input messages don't cut it short.</summary>
    public static void WaitMilliseconds(uint milliseconds) => _ = MsgWaitForMultipleObjectsEx(0, 0, milliseconds, 0, 0);

    [LibraryImport("user32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool RegisterHotKey(nint window, int id, uint modifiers, uint virtualKey);

    [LibraryImport("user32")]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool UnregisterHotKey(nint window, int id);

    [LibraryImport("user32")]
    public static partial short GetAsyncKeyState(int virtualKey);

    [LibraryImport("user32", SetLastError = true)]
    public static partial uint SendInput(uint count, [In] KeyboardInput[] inputs, int size);

    [LibraryImport("user32", EntryPoint = "PeekMessageW")]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool PeekMessage(out MessageLoop.Message message, nint window, uint first, uint last, uint remove);

    [LibraryImport("user32", EntryPoint = "PostThreadMessageW", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool PostThreadMessage(uint thread, uint message, nint wParam, nint lParam);

    [LibraryImport("kernel32")]
    public static partial uint GetCurrentThreadId();

    [LibraryImport("user32", EntryPoint = "OpenDesktopW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint OpenDesktop(string name, uint flags, [MarshalAs(UnmanagedType.Bool)] bool inherit, uint access);

    [LibraryImport("user32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool SetThreadDesktop(nint desktop);

    [LibraryImport("user32", EntryPoint = "MapVirtualKeyW")]
    private static partial uint MapVirtualKey(uint code, uint kind);

    [LibraryImport("user32", SetLastError = true)]
    private static partial uint MsgWaitForMultipleObjectsEx(uint count, nint handles, uint milliseconds, uint wakeMask, uint flags);

    [LibraryImport("winmm", EntryPoint = "timeBeginPeriod")]
    private static partial uint TimeBeginPeriod(uint milliseconds);

    [LibraryImport("winmm", EntryPoint = "timeEndPeriod")]
    private static partial uint TimeEndPeriod(uint milliseconds);
}
