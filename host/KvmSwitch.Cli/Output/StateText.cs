using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output;

/// <summary>The state as tables.</summary>
internal static class StateText
{
    public const string NothingConfigured = "nothing is configured yet: describe a machine and its devices in /etc/kvmswitch/kvmswitch.toml";

    /// <returns>Empty when there is nothing to show.</returns>
    public static string Render(State state, TextLayout layout, TimeProvider time)
    {
        Table[] tables = [Machines(state.Machines), Devices(state, time), Sets(state.Sets)];
        return string.Join("\n", tables.Where(table => !table.IsEmpty).Select(table => table.Render(layout)));
    }

    public static Table Machines(IEnumerable<Machine> machines)
    {
        var table = new Table("MACHINE", "POWER", "AGENT", "KIND", "NOTE");
        foreach (var machine in machines)
        {
            table.Add(machine.Name, Power(machine.Power), Agent(machine), KindName(machine.Kind), Note(machine));
        }

        return table;
    }

    public static string PowerName(Machine.Types.Power power) => power switch
    {
        Machine.Types.Power.Off => "off",
        Machine.Types.Power.Starting => "starting",
        Machine.Types.Power.Running => "running",
        Machine.Types.Power.Paused => "paused",
        Machine.Types.Power.Stopping => "stopping",
        Machine.Types.Power.Crashed => "crashed",
        _ => "unknown",
    };

    public static string KindName(Machine.Types.Kind kind) => kind switch
    {
        Machine.Types.Kind.Managed => "managed",
        Machine.Types.Kind.External => "external",
        _ => "unknown",
    };

    private static Cell Power(Machine.Types.Power power) => new(PowerName(power), power switch
    {
        Machine.Types.Power.Running => Ink.Green,
        Machine.Types.Power.Crashed => Ink.Red,
        Machine.Types.Power.Off => Ink.None,
        _ => Ink.Yellow,
    });

    private static Cell Agent(Machine machine) => machine.AgentLive
        ? new Cell(machine.AgentVersion.Length > 0 ? machine.AgentVersion : "live", Ink.Green)
        : new Cell("none", machine.Power == Machine.Types.Power.Running ? Ink.Yellow : Ink.None);

    private static Cell Note(Machine machine)
    {
        var qemu = machine.QemuVersion.Length > 0 ? $"QEMU {machine.QemuVersion}" : "QEMU";
        return machine.Trouble.Length > 0
            ? new Cell(machine.Trouble, Ink.Red)
            : machine.Pid > 0 ? $"{qemu}, pid {machine.Pid}" : "";
    }

    private static Table Devices(State state, TimeProvider time)
    {
        var table = new Table("DEVICE", "CLASS", "WHERE", "OWNER", "NOTE");
        foreach (var device in state.Devices)
        {
            var astray = device.Placement != device.Owner;
            table.Add(device.Name, device.Class, new Cell(device.Placement, astray ? Ink.Yellow : Ink.None), device.Owner, Note(device, time));
        }

        return table;
    }

    private static Cell Note(Device device, TimeProvider time)
    {
        if (device.Trouble.Length > 0)
        {
            return new Cell(device.Trouble, Ink.Red);
        }

        if (device.Handoff.Length > 0)
        {
            return new Cell($"handoff {device.Handoff} under way", Ink.Yellow);
        }

        if (device.Until is null)
        {
            return device.Detail;
        }

        var until = device.Until.ToDateTimeOffset();
        var left = until - time.GetUtcNow();
        return new Cell($"until {TimeZoneInfo.ConvertTime(until, time.LocalTimeZone):HH:mm:ss}, {DurationText.Format(left > TimeSpan.Zero ? left : TimeSpan.Zero)} left", Ink.Yellow);
    }

    private static Table Sets(IEnumerable<DeviceSet> sets)
    {
        var table = new Table("SET", "DEVICES");
        foreach (var set in sets)
        {
            table.Add(set.Name, string.Join(", ", set.Devices));
        }

        return table;
    }
}
