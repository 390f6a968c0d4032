using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Reads the device nodes that matter from SetupAPI.</summary>
[SupportedOSPlatform("windows")]
internal static unsafe class NodeScan
{
    private const int MostNodes = 4096;
    private const int LongestId = 201;
    private const int LongestProperty = 8 * 1024;
    private static readonly string[] Buses = ["USB", "HID", "PCI", "SCSI"];

    // devpkey.h.
    private static readonly Guid Device = new("a45c254e-df1c-4efd-8020-67d146a850e0");
    private static readonly SetupNative.PropertyKey HardwareIds = new(Device, 3);
    private static readonly SetupNative.PropertyKey CompatibleIds = new(Device, 4);
    private static readonly SetupNative.PropertyKey Service = new(Device, 6);
    private static readonly SetupNative.PropertyKey FriendlyName = new(Device, 14);
    private static readonly SetupNative.PropertyKey LocationInformation = new(Device, 15);
    private static readonly SetupNative.PropertyKey Description = new(Device, 2);
    private static readonly SetupNative.PropertyKey BusNumber = new(Device, 23);
    private static readonly SetupNative.PropertyKey LocationPaths = new(Device, 37);
    private static readonly SetupNative.PropertyKey Parent = new(new("4340a6c5-93fa-4706-972c-7b648008a5a7"), 8);
    private static readonly SetupNative.PropertyKey LastArrival = new(new("83da6326-97a6-4088-9453-a1923f573b29"), 102);
    private static readonly SetupNative.PropertyKey ReportedName = new(new("540b947e-8b40-45bc-a8a2-6a0b894cbda2"), 4);

    public static IReadOnlyList<DeviceNode> Take() => [.. Buses.SelectMany(OnBus)];

    private static List<DeviceNode> OnBus(string enumerator)
    {
        var found = new List<DeviceNode>();
        var list = SetupNative.GetClassDevices(0, enumerator, 0, SetupNative.Present | SetupNative.AllClasses);
        if (list == -1)
            return found;
        try
        {
            var device = new SetupNative.DeviceInfo { Size = Marshal.SizeOf<SetupNative.DeviceInfo>() };
            for (uint index = 0; index < MostNodes && SetupNative.EnumDevice(list, index, ref device); index++)
            {
                if (Read(list, ref device) is { } node)
                    found.Add(node);
            }
        }
        finally
        {
            SetupNative.DestroyList(list);
        }

        return found;
    }

    private static DeviceNode? Read(nint list, ref SetupNative.DeviceInfo device)
    {
        var id = stackalloc char[LongestId];
        if (!SetupNative.GetInstanceId(list, ref device, id, LongestId, out _))
            return null;
        return new DeviceNode(new string(id))
        {
            Parent = Text(list, ref device, Parent),
            LocationPaths = Texts(list, ref device, LocationPaths),
            LocationInformation = Text(list, ref device, LocationInformation),
            HardwareIds = Texts(list, ref device, HardwareIds),
            CompatibleIds = Texts(list, ref device, CompatibleIds),
            Service = Text(list, ref device, Service),
            BusNumber = (uint?)Number(list, ref device, BusNumber),
            IsStarted = IsStarted(device.Node),
            Arrival = Number(list, ref device, LastArrival) ?? 0,
            Name = NameOf(list, ref device),
        };
    }

    private static string NameOf(nint list, ref SetupNative.DeviceInfo device)
    {
        foreach (var key in (ReadOnlySpan<SetupNative.PropertyKey>)[ReportedName, FriendlyName, Description])
        {
            if (Text(list, ref device, key) is { Length: > 0 } name)
                return name;
        }

        return "";
    }

    // A node that went away meanwhile has no status, and is told as gone after the event that follows.
    private static bool IsStarted(uint node) =>
        SetupNative.GetNodeStatus(out var status, out _, node, 0) == 0 && (status & (SetupNative.Started | SetupNative.HasProblem)) == SetupNative.Started;

    private static string Text(nint list, ref SetupNative.DeviceInfo device, in SetupNative.PropertyKey key) =>
        Texts(list, ref device, key) is [var first, ..] ? first : "";

    private static string[] Texts(nint list, ref SetupNative.DeviceInfo device, in SetupNative.PropertyKey key)
    {
        Span<byte> buffer = stackalloc byte[LongestProperty];
        var bytes = Property(list, ref device, key, buffer, out var type);
        return type is SetupNative.StringType or SetupNative.StringListType
            ? Encoding.Unicode.GetString(bytes).Split('\0', StringSplitOptions.RemoveEmptyEntries)
            : [];
    }

    /// <summary>A number or a time, whatever its width.</summary>
    private static long? Number(nint list, ref SetupNative.DeviceInfo device, in SetupNative.PropertyKey key)
    {
        Span<byte> buffer = stackalloc byte[sizeof(long)];
        return Property(list, ref device, key, buffer, out _).Length switch
        {
            sizeof(uint) => MemoryMarshal.Read<uint>(buffer),
            sizeof(long) => MemoryMarshal.Read<long>(buffer),
            _ => null,
        };
    }

    private static ReadOnlySpan<byte> Property(nint list, ref SetupNative.DeviceInfo device, in SetupNative.PropertyKey key, Span<byte> buffer, out uint type)
    {
        fixed (byte* start = buffer)
        {
            return SetupNative.GetProperty(list, ref device, key, out type, start, (uint)buffer.Length, out var length, 0) && length <= buffer.Length
                ? buffer[..(int)length]
                : [];
        }
    }
}
