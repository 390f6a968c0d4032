using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.PipeBridge;

/// <summary>
/// What a restart of Explorer is to a tray: a taskbar that has none of its icons, and says that it is new (learn.microsoft.com/windows/win32/shell/taskbar).
/// Wine's own Explorer can't be restarted, since its desktop goes with it.
/// </summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class NewTaskbar
{
    private const uint Delete = 2;
    private const uint CloseMessage = 0x0010;
    private const nint Everybody = 0xffff;

    /// <param name="windowClass">Class of the tray's window.</param>
    /// <exception cref="Win32Exception">There is no such window, or it has no icon.</exception>
    public static void Announce(string windowClass)
    {
        var window = FindWindow(windowClass, null);
        var data = new IconName { Size = sizeof(IconName), Window = window, Id = 1 };
        if (window == 0 || ShellNotifyIcon(Delete, ref data) == 0)
            throw new Win32Exception($"'{windowClass}' has no icon.");
        _ = PostMessage(Everybody, RegisterWindowMessage("TaskbarCreated"), 0, 0);
    }

    /// <exception cref="Win32Exception">There is no such window.</exception>
    public static void Close(string windowClass)
    {
        if (FindWindow(windowClass, null) is not (not 0 and var window) || PostMessage(window, CloseMessage, 0, 0) == 0)
            throw new Win32Exception($"'{windowClass}' is no window.");
    }

    [LibraryImport("user32", EntryPoint = "FindWindowW", StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint FindWindow(string windowClass, string? title);

    [LibraryImport("user32", EntryPoint = "PostMessageW")]
    private static partial int PostMessage(nint window, uint message, nint wParam, nint lParam);

    [LibraryImport("user32", EntryPoint = "RegisterWindowMessageW", StringMarshalling = StringMarshalling.Utf16)]
    private static partial uint RegisterWindowMessage(string name);

    [LibraryImport("shell32", EntryPoint = "Shell_NotifyIconW")]
    private static partial int ShellNotifyIcon(uint message, ref IconName data);

    /// <summary>NOTIFYICONDATAW; what follows the window and the id is of no use here.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IconName
    {
        public int Size;
        public nint Window;
        public uint Id;
        public fixed byte Rest[952];
    }
}
