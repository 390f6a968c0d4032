using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Threading.Channels;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Announcements of device interfaces by window message (RegisterDeviceNotificationW), for systems without CM_Register_Notification.</summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class DeviceWindow : IDeviceHints
{
    private const uint DeviceChange = 0x0219;
    private const uint Quit = 0x0012;
    private const nint MessageOnly = -3;
    private const int InterfaceKind = 5;
    private const uint AllInterfaces = 4;
    private const int Procedure = -4;

    // A window's procedure has no context of its own, and one window is enough.
    private static volatile ChannelWriter<bool>? heard;

    private readonly Channel<bool> hints = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TaskCompletionSource<uint> started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread thread;
    private readonly uint threadId;

    /// <exception cref="IOException">Windows does not let us listen.</exception>
    public DeviceWindow()
    {
        thread = new(Run) { IsBackground = true, Name = "devices" };
        thread.Start();
        threadId = started.Task.GetAwaiter().GetResult();
    }

    public Task NextAsync(CancellationToken cancellationToken) => hints.Reader.ReadAsync(cancellationToken).AsTask();

    public void Dispose()
    {
        Hotkeys.HotkeyNative.PostThreadMessage(threadId, Quit, 0, 0);
        thread.Join();
    }

    /// <summary>DEV_BROADCAST_DEVICEINTERFACE without a name.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Filter
    {
        public int Size;
        public int Kind;
        public int Reserved;
        public Guid Class;
        public int Name;
    }

    private void Run()
    {
        heard = hints.Writer;
        var window = CreateWindow(0, "STATIC", "KvmSwitch devices", 0, 0, 0, 0, 0, MessageOnly, 0, 0, 0);
        var filter = new Filter { Size = sizeof(Filter), Kind = InterfaceKind };
        if (window == 0 || RegisterDeviceNotification(window, in filter, AllInterfaces) == 0)
        {
            var error = new Win32Exception(Marshal.GetLastPInvokeError());
            started.SetException(new IOException($"Windows does not tell of devices ({error.Message.TrimEnd('.')}).", error));
            return;
        }

        SetWindowLongPtr(window, Procedure, (nint)(delegate* unmanaged<nint, uint, nint, nint, nint>)&Hear);
        started.SetResult(Hotkeys.HotkeyNative.GetCurrentThreadId());
        // The announcements are sent, not posted: they are delivered while this waits.
        while (MessageLoop.GetMessage(out _, 0, 0, 0) > 0)
        {
        }

        DestroyWindow(window);
        heard = null;
    }

    [UnmanagedCallersOnly]
    private static nint Hear(nint window, uint message, nint wParam, nint lParam)
    {
        if (message == DeviceChange)
            heard?.TryWrite(true);
        return DefWindowProc(window, message, wParam, lParam);
    }

    [LibraryImport("user32", EntryPoint = "CreateWindowExW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint CreateWindow(
        uint extended, string kind, string title, uint style, int x, int y, int width, int height, nint parent, nint menu, nint instance, nint parameter);

    [LibraryImport("user32")]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool DestroyWindow(nint window);

    [LibraryImport("user32", EntryPoint = "SetWindowLongPtrW", SetLastError = true)]
    private static partial nint SetWindowLongPtr(nint window, int index, nint value);

    [LibraryImport("user32", EntryPoint = "DefWindowProcW")]
    private static partial nint DefWindowProc(nint window, uint message, nint wParam, nint lParam);

    [LibraryImport("user32", EntryPoint = "RegisterDeviceNotificationW", SetLastError = true)]
    private static partial nint RegisterDeviceNotification(nint recipient, in Filter filter, uint flags);
}
