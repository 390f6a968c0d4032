using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads <c>[device.NAME]</c>.</summary>
internal static class DeviceSection
{
    private static readonly ImmutableArray<string> VirtualDrivers = ["usb-kbd", "usb-mouse", "usb-tablet"];

    private static readonly UsbMatch NoMatch = new UsbMatch.BySerial("", null);

    public static ImmutableArray<Device> ReadAll(TableReader root, ImmutableArray<MachineOptions> machines)
    {
        var ports = new GuestPortAllocation(machines);
        var devices = ImmutableArray.CreateBuilder<Device>();
        foreach (var (index, (name, table)) in root.Named("device").Index())
        {
            if (!Names.TryRead(root, "device", name, DeviceId.Parse, out var id)) continue;
            var (deviceClass, route) = Route(table);
            var device = new Device(id, deviceClass, route, ports.Allocate(id, index, table)) { Label = table.Text("label", "") };
            if (SameMatch(devices, route) is { } twin) table.Fail("", table.Place, $"is recognized in the same way as the device '{twin.Id}'; give one of them another port or serial");
            devices.Add(device);
            table.Finish();
        }

        return devices.DrainToImmutable();
    }

    private static (DeviceClass Class, DeviceRoute Route) Route(TableReader table)
    {
        if (!table.Has("route")) table.Fail("route", "is missing; write \"usb\" for a device of this computer, or \"virtual\" for one that QEMU emulates");
        var isVirtual = table.Word("route", !table.Has("port") && table.Has("driver"), ("usb", false), ("virtual", true));
        return (Class(table, isVirtual), isVirtual ? Virtual(table) : new DeviceRoute.Usb(Match(table)));
    }

    private static DeviceClass Class(TableReader table, bool isVirtual) => table.Word(
        "class",
        isVirtual ? DeviceClass.Hid : DeviceClass.Other,
        ("hid", DeviceClass.Hid),
        ("audio", DeviceClass.Audio),
        ("storage", DeviceClass.Storage),
        ("other", DeviceClass.Other));

    private static DeviceRoute.Virtual Virtual(TableReader table)
    {
        var words = VirtualDrivers.Select(driver => (driver, driver)).ToArray();
        if (!table.Has("driver")) table.Fail("driver", $"is missing; write one of {string.Join(", ", VirtualDrivers.Select(driver => $"\"{driver}\""))}");
        return new(table.Word("driver", VirtualDrivers[0], words));
    }

    private static UsbMatch Match(TableReader table)
    {
        var port = table.Read<UsbPort?>("port", null, text => UsbPort.Parse(text));
        var serial = table.Read<string?>("serial", null, Serial);
        var id = table.Read<VidPid?>("id", null, text => VidPid.Parse(text));
        if (table.Has("port"))
        {
            foreach (var key in new[] { "serial", "id" })
                if (table.Has(key)) table.Fail(key, "can't be used together with port; a device is recognized by port, by serial (and id), or by id: keep one");
            return port is { } p ? new UsbMatch.ByPort(p) : NoMatch;
        }

        if (table.Has("serial")) return serial is null ? NoMatch : new UsbMatch.BySerial(serial, id);
        if (table.Has("id")) return id is { } only ? new UsbMatch.ById(only) : NoMatch;
        table.Fail("port", "is missing; write port = \"1-4\" (as in /sys/bus/usb/devices), or serial, or id, to say which device it is");
        return NoMatch;
    }

    private static string Serial(string text) => text.Length is > 0 and <= 126 && !text.Any(char.IsControl)
        ? text
        : throw new FormatException("is no USB serial number; write the value that 'lsusb -v' shows as iSerial");

    private static Device? SameMatch(IEnumerable<Device> devices, DeviceRoute route) =>
        route is DeviceRoute.Usb usb && !ReferenceEquals(usb.Match, NoMatch) ? devices.FirstOrDefault(device => device.Route == route) : null;
}

/// <summary>
/// Gives each device its port in the guests: the n-th of the file goes to controller n modulo their number, so that devices
/// that move together are spread: guests enumerate the ports of one controller one after the other.
/// </summary>
internal sealed class GuestPortAllocation(ImmutableArray<MachineOptions> machines)
{
    private readonly Dictionary<GuestPort, DeviceId> _taken = [];

    // A device has the same port in every machine, so the smallest one decides.
    private readonly UsbTopology _room = new(
        Math.Max(1, machines.Select(machine => machine.Usb.Controllers).DefaultIfEmpty(UsbTopology.Default.Controllers).Min()),
        machines.Select(machine => machine.Usb.Ports).DefaultIfEmpty(UsbTopology.Default.Ports).Min());

    public GuestPort Allocate(DeviceId id, int index, TableReader table)
    {
        var port = table.Read("guest_port", new GuestPort(index % _room.Controllers, 1 + index / _room.Controllers), Parse);
        if (port.Port > _room.Ports || port.Controller >= _room.Controllers)
        {
            table.Fail(
                "guest_port",
                table.Has("guest_port")
                    ? $"is beyond the smallest machine's {_room.Controllers} USB controllers with {_room.Ports} ports; write 0:1 to {_room.Controllers - 1}:{_room.Ports}"
                    : $"no USB port is left for this device: the smallest machine has {_room.Controllers} × {_room.Ports} (controllers × ports); give it more");
        }
        else if (!_taken.TryAdd(port, id))
        {
            table.Fail("guest_port", $"{port.Controller}:{port.Port} is the port of the device '{_taken[port]}'; set guest_port of one of them to a free one");
        }

        return port;
    }

    private static GuestPort Parse(string text) =>
        text.Split(':') is [var controller, var port] && byte.TryParse(controller, out var c) && byte.TryParse(port, out var p) && p > 0
            ? new(c, p)
            : throw new FormatException($"'{text}' is no guest port; write controller:port, as \"0:3\" (controllers count from 0, ports from 1)");
}
