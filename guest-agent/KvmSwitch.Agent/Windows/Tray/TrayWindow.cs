using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>What happens to the icon.</summary>
internal interface ITrayEvents
{
    /// <summary>Double click or Enter.</summary>
    void Activated();

    /// <summary>The menu is wanted at this point of the screen.</summary>
    void MenuWanted(int x, int y);

    /// <summary>The taskbar came, anew or for the first time.</summary>
    void TaskbarCreated();

    /// <summary>Size or theme of the taskbar may have changed.</summary>
    void AppearanceChanged();
}

/// <summary>
/// The hidden window that the taskbar talks to, and its message loop: everything of the tray happens on the thread that calls <see cref="Run"/>. A window
/// of the top level, since only those get TaskbarCreated (learn.microsoft.com/windows/win32/shell/taskbar).
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe class TrayWindow : IDisposable
{
    public const uint Callback = TrayNative.App + 1;
    private const uint Work = TrayNative.App + 2;
    private const uint Select = TrayNative.User;
    private const uint KeySelect = TrayNative.User + 1;
    private const uint Allow = 1;
    private const nuint MenuTimer = 1;

    // One tray a process; the procedure is a plain function of C.
    private static TrayWindow? current;
    private readonly ConcurrentQueue<Action> work = new();
    private readonly ITrayEvents events;
    private readonly uint taskbarCreated = TrayNative.RegisterWindowMessage("TaskbarCreated");
    private (int X, int Y) anchor;
    private bool doubled;
    private Exception? failure;

    /// <exception cref="Win32Exception">Windows has no room for a window.</exception>
    public TrayWindow(ITrayEvents events)
    {
        this.events = events;
        current = this;
        fixed (char* name = "KvmSwitchTray")
        {
            var windowClass = new TrayNative.WindowClass { Size = sizeof(TrayNative.WindowClass), Procedure = &Procedure, ClassName = name };
            if (TrayNative.RegisterClassEx(in windowClass) == 0)
                throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        Handle = TrayNative.CreateWindowEx(0, "KvmSwitchTray", "KvmSwitch", 0, 0, 0, 0, 0, 0, 0, 0, 0);
        if (Handle == 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        _ = TrayNative.ChangeWindowMessageFilterEx(Handle, taskbarCreated, Allow, 0);
    }

    public nint Handle { get; }

    /// <summary>Has something done on the loop's thread. From any thread; forgotten when the loop is over.</summary>
    public void Post(Action action)
    {
        work.Enqueue(action);
        _ = TrayNative.PostMessage(Handle, Work, 0, 0);
    }

    /// <summary>Asks the loop to end. From any thread.</summary>
    public void End() => _ = TrayNative.PostMessage(Handle, TrayNative.Close, 0, 0);

    /// <summary>Runs until <see cref="End"/>, the window's end, or the session's.</summary>
    public void Run()
    {
        while (MessageLoop.GetMessage(out var message, 0, 0, 0) > 0)
            _ = MessageLoop.DispatchMessage(in message);
        if (failure is not null)
            throw new InvalidOperationException("The tray's window failed.", failure);
    }

    public void Dispose() => _ = TrayNative.DestroyWindow(Handle);

    // No exception may pass the native caller: it ends the loop, and Run throws it.
    [UnmanagedCallersOnly]
    private static nint Procedure(nint window, uint message, nint wParam, nint lParam)
    {
        try
        {
            if (current is { } tray && tray.Handle == window && tray.Take(message, wParam, lParam))
                return 0;
        }
#pragma warning disable CA1031 // Whatever it is, see above.
        catch (Exception broken)
#pragma warning restore CA1031
        {
            current!.failure ??= broken;
            TrayNative.PostQuitMessage(1);
        }

        return TrayNative.DefWindowProc(window, message, wParam, lParam);
    }

    private bool Take(uint message, nint wParam, nint lParam)
    {
        if (message == taskbarCreated)
        {
            events.TaskbarCreated();
            return true;
        }

        switch (message)
        {
            case Callback:
                anchor = ((short)(wParam & 0xffff), (short)((wParam >> 16) & 0xffff));
                TakeFromIcon((uint)(lParam & 0xffff));
                return true;
            case Work:
                while (work.TryDequeue(out var action))
                    action();
                return true;
            case TrayNative.Timer:
                _ = TrayNative.KillTimer(Handle, MenuTimer);
                events.MenuWanted(anchor.X, anchor.Y);
                return true;
            case TrayNative.SettingChange or TrayNative.DisplayChange:
                events.AppearanceChanged();
                return false;
            case TrayNative.Close or TrayNative.Destroy:
                // An open menu has a loop of its own, which would swallow the end.
                _ = TrayNative.EndMenu();
                TrayNative.PostQuitMessage(0);
                return true;
            case TrayNative.EndSession when wParam != 0:
                TrayNative.PostQuitMessage(0);
                return true;
            default:
                return false;
        }
    }

    /// <summary>A single click opens the menu, but only once it can't become a double click any more.</summary>
    private void TakeFromIcon(uint happened)
    {
        switch (happened)
        {
            case Select when doubled:
                doubled = false;
                break;
            case Select:
                _ = TrayNative.SetTimer(Handle, MenuTimer, TrayNative.GetDoubleClickTime(), 0);
                break;
            case TrayNative.LeftDoubleClick:
                _ = TrayNative.KillTimer(Handle, MenuTimer);
                doubled = true;
                events.Activated();
                break;
            case KeySelect:
                events.Activated();
                break;
            case TrayNative.ContextMenu:
                _ = TrayNative.KillTimer(Handle, MenuTimer);
                events.MenuWanted(anchor.X, anchor.Y);
                break;
        }
    }
}
