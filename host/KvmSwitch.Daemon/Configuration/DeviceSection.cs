using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads <c>[device.NAME]</c>.</summary>
internal static class DeviceSection
{
    public static ImmutableArray<Device> ReadAll(TableReader root, ImmutableArray<MachineOptions> machines)
    {
        var places = new GuestPlaces(machines);
        var devices = ImmutableArray.CreateBuilder<Device>();
        foreach (var (index, (name, table)) in root.Named("device").Index())
        {
            if (!Names.TryRead(root, "device", name, DeviceId.Parse, out var id)) continue;
            var route = RouteSection.Read(table, machines);
            var device = places.Allocate(new(id, Class(table, route), route, default) { Label = table.Text("label", "") }, index, table);
            if (SameMatch(devices, route) is { } twin) table.Fail("", table.Place, $"is recognized in the same way as the device '{twin.Id}'; give one of them another port or serial");
            devices.Add(device);
            table.Finish();
        }

        return devices.DrainToImmutable();
    }

    private static DeviceClass Class(TableReader table, DeviceRoute route) => table.Word(
        "class",
        route switch
        {
            DeviceRoute.Virtual or DeviceRoute.Input => DeviceClass.Hid,
            DeviceRoute.Optical => DeviceClass.Storage,
            _ => DeviceClass.Other,
        },
        ("hid", DeviceClass.Hid),
        ("audio", DeviceClass.Audio),
        ("storage", DeviceClass.Storage),
        ("other", DeviceClass.Other));

    private static Device? SameMatch(IEnumerable<Device> devices, DeviceRoute route) => route switch
    {
        DeviceRoute.Virtual => null,
        DeviceRoute.Controller controller => devices.FirstOrDefault(
            device => device.Route is DeviceRoute.Controller other && other.Functions.Intersect(controller.Functions).Any()),
        _ => RouteSection.IsUnread(route) ? null : devices.FirstOrDefault(device => device.Route == route),
    };
}
