using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads <c>[set.NAME]</c>.</summary>
internal static class SetSection
{
    public static ImmutableArray<DeviceSet> ReadAll(TableReader root, ImmutableArray<Device> devices)
    {
        var sets = ImmutableArray.CreateBuilder<DeviceSet>();
        foreach (var (name, table) in root.Named("set"))
        {
            if (!Names.TryRead(root, "set", name, SetId.Parse, out var id)) continue;
            if (devices.Any(device => device.Id.Value == id.Value)) table.Fail("", table.Place, "has the name of a device; choose another");
            var members = table.List("devices", text => Member(text, devices));
            if (table.Texts("devices").IsEmpty) table.Fail("devices", "names no device; write devices = [\"…\"] with at least one");
            sets.Add(new(id, members));
            table.Finish();
        }

        return sets.DrainToImmutable();
    }

    private static DeviceId Member(string text, ImmutableArray<Device> devices) =>
        devices.FirstOrDefault(device => device.Id.Value == text)?.Id
        ?? throw new FormatException($"there is no device '{text}'{Spelling.Hint(text, devices.Select(device => device.Id.Value))}");
}

/// <summary>Reads <c>[guest.NAME]</c>: what the guest of a machine may do.</summary>
internal static class GuestSection
{
    public static ImmutableArray<MachineOptions> ReadAll(TableReader root, ImmutableArray<MachineOptions> machines, Targets targets)
    {
        foreach (var (name, table) in root.Named("guest"))
        {
            var mayRequest = table.List("may_request", text => (text, devices: targets.Resolve(text))).SelectMany(pair => pair.devices).Distinct();
            table.Finish();
            if (machines.FirstOrDefault(machine => machine.Id.Value == name.Value) is { } owner)
                machines = machines.Replace(owner, owner with { MayRequest = [.. mayRequest] });
            else
                root.Fail($"guest.{name.Value}", name.Place, $"there is no machine '{name.Value}'{Spelling.Hint(name.Value, machines.Select(machine => machine.Id.Value))}");
        }

        return machines;
    }
}
