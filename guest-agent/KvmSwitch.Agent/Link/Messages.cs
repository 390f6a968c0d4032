using KvmSwitch.Agent.Devices;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Link;

/// <summary>Our values as messages.</summary>
internal static class Messages
{
    private static readonly Ability[] Always =
        [Ability.Sightings, Ability.Hotkeys, Ability.Shutdown, Ability.PciSightings, Ability.ScsiSightings];

    public static AgentMessage Hello(string version, string operatingSystem, DeviceSnapshot devices, bool canEject) => new()
    {
        Hello = new()
        {
            Version = version,
            OperatingSystem = operatingSystem,
            Abilities = { Always, canEject ? [Ability.Eject] : [] },
            Devices = { devices.Devices.Select(Device) },
        },
    };

    /// <summary>The buses that this host understands, of those that this agent knows.</summary>
    public static IReadOnlySet<DeviceBus> Buses(Welcome welcome) => Enum.GetValues<DeviceBus>().Where(bus => welcome.Buses.Contains(Bus(bus))).ToHashSet();

    public static AgentMessage Heartbeat(ulong sequence) => new() { Heartbeat = new() { Sequence = sequence } };

    public static AgentMessage Sighting(DeviceChange change) => new()
    {
        Sighting = new()
        {
            Kind = change.Present ? DeviceSighting.Types.Kind.Present : DeviceSighting.Types.Kind.Gone,
            Device = Device(change.Device),
        },
    };

    public static AgentMessage Request(ulong id, GuestAction action, string gesture) => new()
    {
        Request = new() { Id = id, Action = action, Gesture = gesture },
    };

    public static AgentMessage Ejected(ulong id, string? objection) => new()
    {
        EjectReply = new() { Id = id, Ok = objection is null, Error = objection ?? "" },
    };

    public static AgentMessage Session(SessionEvent.Types.Kind kind) => new() { SessionEvent = new() { Kind = kind } };

    public static AgentMessage Report(HotkeyReport report) => new() { HotkeyReport = report };

    private static GuestDevice Device(AttachedDevice device) => new()
    {
        Key = device.Key,
        VendorId = device.VendorId,
        ProductId = device.ProductId,
        Serial = device.Serial,
        Controller = device.Controller,
        Port = device.Port,
        Ready = device.Ready,
        Product = device.Product,
        Bus = Bus(device.Bus),
        PciClass = device.PciClass,
    };

    private static GuestDevice.Types.Bus Bus(DeviceBus bus) => bus switch
    {
        DeviceBus.Usb => GuestDevice.Types.Bus.Usb,
        DeviceBus.Pci => GuestDevice.Types.Bus.Pci,
        DeviceBus.Scsi => GuestDevice.Types.Bus.Scsi,
        _ => GuestDevice.Types.Bus.Unspecified,
    };
}
