using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Calls of setupapi and cfgmgr32 (learn.microsoft.com/windows/win32/api/setupapi, …/api/cfgmgr32).</summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class SetupNative
{
    public const uint Present = 2;
    public const uint AllClasses = 4;
    public const uint Started = 0x8;
    public const uint HasProblem = 0x400;
    public const uint StringType = 0x12;
    public const uint StringListType = 0x2012;

    /// <summary>SP_DEVINFO_DATA.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct DeviceInfo
    {
        public int Size;
        public Guid Class;
        public uint Node;
        public nint Reserved;
    }

    /// <summary>DEVPROPKEY.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public readonly struct PropertyKey(Guid group, uint id)
    {
        public readonly Guid Group = group;
        public readonly uint Id = id;
    }

    /// <summary>CM_NOTIFY_FILTER; its union is as long as a device instance id of 200 characters.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct NotifyFilter
    {
        public int Size;
        public uint Flags;
        public int Kind;
        public uint Reserved;
        public fixed ushort InstanceId[200];
    }

    [LibraryImport("setupapi", EntryPoint = "SetupDiGetClassDevsW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial nint GetClassDevices(nint setupClass, string? enumerator, nint window, uint flags);

    [LibraryImport("setupapi", EntryPoint = "SetupDiDestroyDeviceInfoList")]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool DestroyList(nint list);

    [LibraryImport("setupapi", EntryPoint = "SetupDiEnumDeviceInfo", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool EnumDevice(nint list, uint index, ref DeviceInfo device);

    [LibraryImport("setupapi", EntryPoint = "SetupDiGetDeviceInstanceIdW", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool GetInstanceId(nint list, ref DeviceInfo device, char* id, uint characters, out uint needed);

    [LibraryImport("setupapi", EntryPoint = "SetupDiGetDevicePropertyW", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool GetProperty(nint list, ref DeviceInfo device, in PropertyKey key, out uint type, byte* buffer, uint bytes, out uint needed, uint flags);

    [LibraryImport("cfgmgr32", EntryPoint = "CM_Get_DevNode_Status")]
    public static partial int GetNodeStatus(out uint status, out uint problem, uint node, uint flags);

    [LibraryImport("cfgmgr32", EntryPoint = "CM_Locate_DevNodeW", StringMarshalling = StringMarshalling.Utf16)]
    public static partial int LocateNode(out uint node, string id, uint flags);

    [LibraryImport("cfgmgr32", EntryPoint = "CM_Request_Device_EjectW")]
    public static partial int RequestEject(uint node, out int veto, char* name, uint characters, uint flags);

    [LibraryImport("cfgmgr32", EntryPoint = "CM_Register_Notification")]
    public static partial int RegisterNotification(
        in NotifyFilter filter, nint context, delegate* unmanaged<nint, nint, int, nint, int, int> callback, out nint registration);

    [LibraryImport("cfgmgr32", EntryPoint = "CM_Unregister_Notification")]
    public static partial int UnregisterNotification(nint registration);
}
