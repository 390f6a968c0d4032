using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon.Machines;

/// <summary>Where a part of a device goes in a guest, in the terms of device_add.</summary>
/// <param name="Bus">QEMU's name of the bus.</param>
/// <param name="Key">The property that tells the place on that bus; null where a bus has one place.</param>
internal readonly record struct GuestSeat(string Bus, string? Key, string? Value)
{
    /// <exception cref="SwitchException">The machine has no such place.</exception>
    public static GuestSeat Of(MachineOptions machine, Device device, int slot) => device.Route switch
    {
        DeviceRoute.Controller => new(RootPort(machine, device, slot), null, null),
        DeviceRoute.Optical => new(
            machine.ScsiBus ?? throw Missing(machine, device, "SCSI bus; name one with scsi_bus"), "scsi-id", $"{SlotOf(device, slot)}"),
        _ => Usb(machine, PortOf(device, slot)),
    };

    /// <summary>The USB port of a part: the device's own, or one of those for what is behind its hub.</summary>
    public static GuestPort PortOf(Device device, int slot) => slot == 0 ? device.Port
        : slot <= device.BranchPorts.Length ? device.BranchPorts[slot - 1]
        : throw new SwitchException(Failure.Failed, $"{device.Id} has more parts than guest ports ({device.BranchPorts.Length + 1}); set branch_ports higher");

    public JsonObject Properties() => Key is null ? new() { ["bus"] = Bus } : new() { ["bus"] = Bus, [Key] = Value };

    private static GuestSeat Usb(MachineOptions machine, GuestPort port) => new(machine.BusOf(port), "port", $"{port.Port}");

    private static int SlotOf(Device device, int slot) => slot < device.Slots.Length
        ? device.Slots[slot]
        : throw new SwitchException(Failure.Failed, $"{device.Id} has more parts than places in the guest ({device.Slots.Length})");

    private static string RootPort(MachineOptions machine, Device device, int slot)
    {
        var index = SlotOf(device, slot);
        return index < machine.RootPortBuses.Length ? machine.RootPortBuses[index] : throw Missing(machine, device, "root port; raise root_ports");
    }

    private static SwitchException Missing(MachineOptions machine, Device device, string what) =>
        new(Failure.Refused, $"{machine.Id} has no free {what}, so {device.Id} can't go there");
}
