using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.PipeBridge;

/// <summary>
/// What Windows' bus driver does when a USB device is plugged in or out: its node is there or gone (learn.microsoft.com/windows/win32/api/setupapi), and
/// those who listen are told (WM_DEVICECHANGE). Wine has no driver for the USB of a QEMU, but it keeps nodes as Windows does.
/// </summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class PluggedDevice
{
    private const uint StringList = 0x2012;
    private const uint DeviceChange = 0x0219;
    private const nint NodesChanged = 7;
    private const nint MessageOnly = -3;
    private const uint AbortIfHung = 2;
    private const uint PatienceMilliseconds = 10_000;
    private const uint AllAccess = 0x37f;
    private const uint MaximumAllowed = 0x0200_0000;

    // USBDevice, GUID_DEVCLASS_USB.
    private static readonly Guid UsbClass = new("36fc9e60-c465-11cf-8056-444553540000");
    private static readonly PropertyKey LocationPaths = new(new("a45c254e-df1c-4efd-8020-67d146a850e0"), 37);

    /// <param name="id">Device instance id, as <c>USB\VID_0627&amp;PID_0001\serial</c>.</param>
    /// <param name="place">Its location path, as <c>PCIROOT(0)#PCI(0100)#USBROOT(0)#USB(1)</c>.</param>
    /// <exception cref="Win32Exception">It can't be made.</exception>
    public static void Arrive(string id, string place)
    {
        var list = Expect(CreateList(in UsbClass, 0), "a list of devices");
        try
        {
            var device = new DeviceInfo { Size = sizeof(DeviceInfo) };
            Expect(CreateDevice(list, id, in UsbClass, null, 0, 0, ref device), id);
            var paths = place + "\0\0";
            fixed (char* text = paths)
                Expect(SetProperty(list, ref device, in LocationPaths, StringList, text, (uint)(paths.Length * sizeof(char)), 0), "its place");
            Expect(RegisterDevice(list, ref device, 0, 0, 0, 0), id);
        }
        finally
        {
            _ = DestroyList(list);
        }
    }

    /// <exception cref="Win32Exception">It is not there, or stays.</exception>
    public static void Leave(string id)
    {
        var list = Expect(CreateList(in UsbClass, 0), "a list of devices");
        try
        {
            var device = new DeviceInfo { Size = sizeof(DeviceInfo) };
            Expect(OpenDevice(list, id, 0, 0, ref device), id);
            Expect(RemoveDevice(list, ref device), id);
        }
        finally
        {
            _ = DestroyList(list);
        }
    }

    /// <summary>Tells a window of a service that devices have changed. Wine's services have a window station of their own.</summary>
    /// <returns>False: there is no such window.</returns>
    /// <exception cref="Win32Exception">It does not listen.</exception>
    public static bool Announce(string title)
    {
        Expect(SetProcessWindowStation(Expect(OpenWindowStation("__wineservice_winstation", 0, AllAccess), "the services' window station")), "the services' window station");
        Expect(SetThreadDesktop(Expect(OpenDesktop("Default", 0, 0, MaximumAllowed), "the services' desktop")), "the services' desktop");
        if (FindWindow(MessageOnly, 0, null, title) is not (not 0 and var window))
            return false;
        Expect((int)SendMessage(window, DeviceChange, NodesChanged, 0, AbortIfHung, PatienceMilliseconds, out _), title);
        return true;
    }

    private static nint Expect(nint handle, string what) => handle is 0 or -1 ? throw Failed(what) : handle;

    private static void Expect(int isDone, string what)
    {
        if (isDone == 0)
            throw Failed(what);
    }

    private static Win32Exception Failed(string what)
    {
        var error = Marshal.GetLastPInvokeError();
        return new(error, $"{what}: {Marshal.GetPInvokeErrorMessage(error)} ({error:x8})");
    }

    /// <summary>SP_DEVINFO_DATA.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct DeviceInfo
    {
        public int Size;
        public Guid Class;
        public uint Node;
        public nint Reserved;
    }

    /// <summary>DEVPROPKEY.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct PropertyKey(Guid group, uint id)
    {
        public readonly Guid Group = group;
        public readonly uint Id = id;
    }

    [LibraryImport("setupapi", EntryPoint = "SetupDiCreateDeviceInfoList", SetLastError = true)]
    private static partial nint CreateList(in Guid setupClass, nint window);

    [LibraryImport("setupapi", EntryPoint = "SetupDiDestroyDeviceInfoList")]
    private static partial int DestroyList(nint list);

    [LibraryImport("setupapi", EntryPoint = "SetupDiCreateDeviceInfoW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial int CreateDevice(nint list, string id, in Guid setupClass, string? description, nint window, uint flags, ref DeviceInfo device);

    [LibraryImport("setupapi", EntryPoint = "SetupDiOpenDeviceInfoW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial int OpenDevice(nint list, string id, nint window, uint flags, ref DeviceInfo device);

    [LibraryImport("setupapi", EntryPoint = "SetupDiSetDevicePropertyW", SetLastError = true)]
    private static partial int SetProperty(nint list, ref DeviceInfo device, in PropertyKey key, uint type, void* value, uint bytes, uint flags);

    [LibraryImport("setupapi", EntryPoint = "SetupDiRegisterDeviceInfo", SetLastError = true)]
    private static partial int RegisterDevice(nint list, ref DeviceInfo device, uint flags, nint compare, nint context, nint duplicate);

    [LibraryImport("setupapi", EntryPoint = "SetupDiRemoveDevice", SetLastError = true)]
    private static partial int RemoveDevice(nint list, ref DeviceInfo device);

    [LibraryImport("user32", EntryPoint = "OpenWindowStationW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint OpenWindowStation(string name, int inherit, uint access);

    [LibraryImport("user32", SetLastError = true)]
    private static partial int SetProcessWindowStation(nint station);

    [LibraryImport("user32", EntryPoint = "OpenDesktopW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint OpenDesktop(string name, uint flags, int inherit, uint access);

    [LibraryImport("user32", SetLastError = true)]
    private static partial int SetThreadDesktop(nint desktop);

    [LibraryImport("user32", EntryPoint = "FindWindowExW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint FindWindow(nint parent, nint after, string? kind, string title);

    [LibraryImport("user32", EntryPoint = "SendMessageTimeoutW", SetLastError = true)]
    private static partial nint SendMessage(nint window, uint message, nint wParam, nint lParam, uint flags, uint patience, out nint result);
}
