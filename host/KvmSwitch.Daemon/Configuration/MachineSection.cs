using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Machines;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads <c>[machine.NAME]</c>.</summary>
internal static class MachineSection
{
    public static ImmutableArray<MachineOptions> ReadAll(TableReader root)
    {
        var machines = ImmutableArray.CreateBuilder<MachineOptions>();
        foreach (var (name, table) in root.Named("machine"))
        {
            if (!Names.TryRead(root, "machine", name, MachineId.Parse, out var id)) continue;
            machines.Add(table.Word("kind", false, ("managed", false), ("external", true)) ? External(id, table) : ManagedMachineSection.Read(id, table));
            table.Finish();
        }

        return machines.DrainToImmutable();
    }

    private static ExternalMachine External(MachineId id, TableReader table)
    {
        var qmp = table.Require("qmp", "", SocketPath, "the absolute path of the QMP socket");
        var buses = table.List("usb_buses", Bus);
        if (buses.Length > UsbTopology.MaxControllers) table.Fail("usb_buses", $"names more than {UsbTopology.MaxControllers} buses; leave some out");
        if (buses.IsEmpty && !table.Has("usb_buses"))
            table.Fail("usb_buses", "is missing; write QEMU's names of the USB buses that may take devices, as [\"usb.0\"]");
        var ports = table.Integer("usb_ports", UsbTopology.Default.Ports, 1, UsbTopology.MaxPorts);
        return new(id, qmp, buses, ports)
        {
            RootPorts = table.List("root_ports", Bus), Scsi = table.Read<string?>("scsi_bus", null, Bus),
        };
    }

    private static string SocketPath(string text)
    {
        try
        {
            return MachinePaths.CheckSocket(Quantities.AbsolutePath(text));
        }
        catch (SwitchException e)
        {
            throw new FormatException(e.Message, e);
        }
    }

    private static string Bus(string text) =>
        text.Length is > 0 and <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_')
            ? text
            : throw new FormatException($"'{text}' is no name of a QEMU bus; write it as \"usb.0\" (see 'info qtree' in QEMU's monitor)");
}

/// <summary>Reads names of tables.</summary>
internal static class Names
{
    public static bool TryRead<T>(TableReader root, string section, PlacedText name, Func<string, T> parse, out T value)
    {
        try
        {
            value = parse(name.Value);
            return true;
        }
        catch (FormatException e)
        {
            root.Fail($"{section}.{name.Value}", name.Place, e.Message);
            value = default!;
            return false;
        }
    }
}
