using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;

namespace KvmSwitch.Daemon.Machines;

/// <summary>Where a part of a device goes in a guest: in the terms of device_add, and as its agent tells it.</summary>
/// <param name="Bus">QEMU's name of the bus.</param>
/// <param name="Key">The property that tells the place on that bus; null where a bus has one place.</param>
/// <param name="Place">The PCI addresses in it are known where we laid the machine out.</param>
internal readonly record struct GuestSeat(string Bus, string? Key, int Value, GuestPlace Place)
{
    private const string UsbPort = "port";

    /// <exception cref="SwitchException">The machine has no such place.</exception>
    public static GuestSeat Of(MachineOptions machine, Device device, int slot) => device.Route switch
    {
        DeviceRoute.Controller => OnRootPort(machine, device, SlotOf(device, slot)),
        DeviceRoute.Optical => OnScsi(machine, device, SlotOf(device, slot)),
        _ => OnUsb(machine, PortOf(device, slot)),
    };

    public JsonObject Properties() => Key switch
    {
        null => new() { ["bus"] = Bus },
        // QEMU takes a port as a text, because it may be a path through hubs, and a SCSI target as a number.
        UsbPort => new() { ["bus"] = Bus, [Key] = $"{Value}" },
        _ => new() { ["bus"] = Bus, [Key] = Value },
    };

    private static GuestSeat OnUsb(MachineOptions machine, GuestPort port) => new(
        machine.BusOf(port), UsbPort, port.Port, GuestPlace.Usb(port.Port, IsOurs(machine) ? QemuArguments.ControllerAddress(port) : null));

    private static GuestSeat OnRootPort(MachineOptions machine, Device device, int index) => index < machine.RootPortBuses.Length
        ? new(
            machine.RootPortBuses[index], null, 0,
            IsOurs(machine) ? GuestPlace.Pci(QemuArguments.RootPortAddress(index)) : new(GuestBus.Pci, null, "00.0"))
        : throw Missing(machine, device, "free root port; raise root_ports");

    private static GuestSeat OnScsi(MachineOptions machine, Device device, int target) => machine.ScsiBus is { } bus
        ? new(bus, "scsi-id", target, GuestPlace.Scsi(IsOurs(machine) ? QemuArguments.ScsiControllerAddress : null, target))
        : throw Missing(machine, device, "SCSI bus; name it with scsi_bus");

    /// <summary>The USB port of a part: the device's own, or one of those for what is behind its hub.</summary>
    private static GuestPort PortOf(Device device, int slot) => slot == 0 ? device.Port
        : slot <= device.BranchPorts.Length ? device.BranchPorts[slot - 1]
        : throw new SwitchException(
            Failure.Refused, $"{device.Id} has a part at port {slot} of its hub, but only {device.BranchPorts.Length} ports in the guest; raise branch_ports");

    private static int SlotOf(Device device, int slot) => slot < device.Slots.Length
        ? device.Slots[slot]
        : throw new SwitchException(Failure.Refused, $"{device.Id} has more parts than places in the guest ({device.Slots.Length})");

    private static bool IsOurs(MachineOptions machine) => machine is ManagedMachine;

    private static SwitchException Missing(MachineOptions machine, Device device, string what) =>
        new(Failure.Refused, $"{device.Id} can't go to {machine.Id}, which has no {what}");
}
