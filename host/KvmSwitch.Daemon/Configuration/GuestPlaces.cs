using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>
/// Gives each device its places in the guests, always the same. A USB device, the n-th of the file, goes to controller n modulo
/// their number, so that devices that move together are spread: guests enumerate the ports of one controller one after the other.
/// </summary>
internal sealed class GuestPlaces(ImmutableArray<MachineOptions> machines)
{
    /// <summary>virtio-scsi has 256 targets; nobody has more drives than this.</summary>
    private const int MaxDrives = 16;

    private const int DefaultBranches = 4;

    private readonly Dictionary<GuestPort, DeviceId> _taken = [];
    private int _rootPorts;
    private int _drives;

    // A device has the same port in every machine, so the smallest one decides.
    private readonly UsbTopology _room = new(
        Math.Max(1, machines.Select(machine => machine.Usb.Controllers).DefaultIfEmpty(UsbTopology.Default.Controllers).Min()),
        machines.Select(machine => machine.Usb.Ports).DefaultIfEmpty(UsbTopology.Default.Ports).Min());

    private int RootPorts => machines.Select(machine => machine.RootPortBuses.Length).DefaultIfEmpty(0).Max();

    public Device Allocate(Device device, int index, TableReader table)
    {
        switch (device.Route)
        {
            case DeviceRoute.Controller controller:
                var ports = Enumerable.Range(_rootPorts, controller.Functions.Length).ToImmutableArray();
                _rootPorts += controller.Functions.Length;
                if (_rootPorts > RootPorts) table.Fail("functions", $"no root port is left for it: {_rootPorts} are needed, and the machines have at most {RootPorts}; raise root_ports");
                return device with { Slots = ports };
            case DeviceRoute.Optical:
                if (_drives == MaxDrives) table.Fail("drive", $"there can be {MaxDrives} optical drives at most; remove one");
                return device with { Slots = [_drives++] };
            case DeviceRoute.Input:
                return device;
            case DeviceRoute.Usb { Match: UsbMatch.Below }:
                var branches = table.Integer("branch_ports", DefaultBranches, 1, UsbTopology.MaxPorts);
                var port = AllocatePort(device.Id, index, table);
                return device with { Port = port, BranchPorts = [.. Enumerable.Range(0, branches).Select(_ => FreePort(device.Id, table))] };
            default:
                return device with { Port = AllocatePort(device.Id, index, table) };
        }
    }

    private GuestPort AllocatePort(DeviceId id, int index, TableReader table)
    {
        var usual = new GuestPort(index % _room.Controllers, 1 + index / _room.Controllers);
        var port = table.Read("guest_port", _taken.ContainsKey(usual) && !table.Has("guest_port") ? FirstFree() ?? usual : usual, Parse);
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

    /// <summary>From the end, where no other device's usual port is.</summary>
    private GuestPort FreePort(DeviceId id, TableReader table)
    {
        if (FirstFree(fromEnd: true) is { } free)
        {
            _taken.Add(free, id);
            return free;
        }

        table.Fail("branch_ports", $"so many USB ports are not left: the smallest machine has {_room.Controllers} × {_room.Ports} (controllers × ports); give it more");
        return default;
    }

    private GuestPort? FirstFree(bool fromEnd = false)
    {
        var all = Enumerable.Range(0, _room.Controllers * _room.Ports).Select(n => new GuestPort(n % _room.Controllers, 1 + n / _room.Controllers));
        var free = (fromEnd ? all.Reverse() : all).Where(port => !_taken.ContainsKey(port));
        return free.Any() ? free.First() : null;
    }

    private static GuestPort Parse(string text) =>
        text.Split(':') is [var controller, var port] && byte.TryParse(controller, out var c) && byte.TryParse(port, out var p) && p > 0
            ? new(c, p)
            : throw new FormatException($"'{text}' is no guest port; write controller:port, as \"0:3\" (controllers count from 0, ports from 1)");
}
