using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon.GuestTools;

/// <summary>Where a disc can be plugged in without being in a device's way.</summary>
internal static class ToolsPorts
{
    private const int Attempts = 4;

    /// <summary>A few ports that no device of the configuration ever uses, from the end, where the usual ones are not.</summary>
    /// <exception cref="SwitchException">The machine has none.</exception>
    public static ImmutableArray<ToolsPort> Free(MachineOptions machine, IEnumerable<Device> devices)
    {
        var taken = devices.SelectMany(device => device.BranchPorts.Append(device.Port)).ToHashSet();
        var usb = machine.Usb;
        ImmutableArray<ToolsPort> free =
        [
            .. Enumerable.Range(0, usb.Controllers * usb.Ports).Reverse()
                .Select(n => new GuestPort(n % usb.Controllers, 1 + n / usb.Controllers))
                .Where(port => !taken.Contains(port))
                .Take(Attempts)
                .Select(port => new ToolsPort(machine.BusOf(port), port.Port)),
        ];
        return !free.IsEmpty ? free : throw new SwitchException(
            Failure.Refused, $"{machine.Id} has no USB port left for the disc: the devices of the configuration need them all; give it more, or use 'kvmswitch guest pair'");
    }
}
