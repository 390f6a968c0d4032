using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>Windows, menus and the message loop (learn.microsoft.com/windows/win32/api/winuser).</summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class TrayNative
{
    public const uint Null = 0x0000;
    public const uint Destroy = 0x0002;
    public const uint Close = 0x0010;
    public const uint EndSession = 0x0016;
    public const uint SettingChange = 0x001a;
    public const uint ContextMenu = 0x007b;
    public const uint DisplayChange = 0x007e;
    public const uint Timer = 0x0113;
    public const uint LeftDoubleClick = 0x0203;
    public const uint User = 0x0400;
    public const uint App = 0x8000;

    public const uint Disabled = 0x0001;
    public const uint Checked = 0x0008;
    public const uint Popup = 0x0010;
    public const uint Separator = 0x0800;

    /// <summary>TPM_RETURNCMD | TPM_RIGHTBUTTON | TPM_BOTTOMALIGN.</summary>
    public const uint ReturnChoice = 0x0100 | 0x0002 | 0x0020;

    private const int SmallIconWidth = 49;

    /// <summary>WNDCLASSEXW.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct WindowClass
    {
        public int Size;
        public uint Style;
        public delegate* unmanaged<nint, uint, nint, nint, nint> Procedure;
        public int ClassExtra;
        public int WindowExtra;
        public nint Instance;
        public nint Icon;
        public nint Cursor;
        public nint Background;
        public nint MenuName;
        public char* ClassName;
        public nint SmallIcon;
    }

    /// <summary>Width of a small icon, in pixels of the primary screen.</summary>
    public static int SmallIconSize => GetSystemMetrics(SmallIconWidth) is > 0 and var size ? size : 16;

    [LibraryImport("user32", EntryPoint = "RegisterClassExW", SetLastError = true)]
    public static partial ushort RegisterClassEx(in WindowClass windowClass);

    [LibraryImport("user32", EntryPoint = "CreateWindowExW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial nint CreateWindowEx(
        uint extendedStyle, string className, string name, uint style, int x, int y, int width, int height, nint parent, nint menu, nint instance, nint parameter);

    [LibraryImport("user32", EntryPoint = "DefWindowProcW")]
    public static partial nint DefWindowProc(nint window, uint message, nint wParam, nint lParam);

    [LibraryImport("user32")]
    public static partial int DestroyWindow(nint window);

    [LibraryImport("user32", EntryPoint = "PostMessageW", SetLastError = true)]
    public static partial int PostMessage(nint window, uint message, nint wParam, nint lParam);

    [LibraryImport("user32")]
    public static partial void PostQuitMessage(int code);

    [LibraryImport("user32", EntryPoint = "RegisterWindowMessageW", StringMarshalling = StringMarshalling.Utf16)]
    public static partial uint RegisterWindowMessage(string name);

    /// <summary>Lets a message through from programs of lower integrity.</summary>
    [LibraryImport("user32")]
    public static partial int ChangeWindowMessageFilterEx(nint window, uint message, uint action, nint result);

    [LibraryImport("user32")]
    public static partial nuint SetTimer(nint window, nuint id, uint milliseconds, nint callback);

    [LibraryImport("user32")]
    public static partial int KillTimer(nint window, nuint id);

    [LibraryImport("user32")]
    public static partial uint GetDoubleClickTime();

    [LibraryImport("user32")]
    public static partial int SetForegroundWindow(nint window);

    [LibraryImport("user32")]
    public static partial nint CreatePopupMenu();

    [LibraryImport("user32", EntryPoint = "AppendMenuW", StringMarshalling = StringMarshalling.Utf16)]
    public static partial int AppendMenu(nint menu, uint flags, nint id, string? text);

    [LibraryImport("user32")]
    public static partial int SetMenuDefaultItem(nint menu, uint item, uint byPosition);

    [LibraryImport("user32")]
    public static partial int TrackPopupMenuEx(nint menu, uint flags, int x, int y, nint window, nint parameters);

    [LibraryImport("user32")]
    public static partial int DestroyMenu(nint menu);

    [LibraryImport("user32")]
    public static partial int EndMenu();

    [LibraryImport("user32", EntryPoint = "MessageBoxW", StringMarshalling = StringMarshalling.Utf16)]
    public static partial int MessageBox(nint window, string text, string caption, uint type);

    [LibraryImport("kernel32")]
    public static partial int FreeConsole();

    [LibraryImport("kernel32")]
    public static partial ushort GetUserDefaultUILanguage();

    [LibraryImport("user32")]
    private static partial int GetSystemMetrics(int index);
}
