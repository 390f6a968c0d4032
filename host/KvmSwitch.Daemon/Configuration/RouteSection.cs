using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads the keys of <c>[device.NAME]</c> that say which device it is and how it travels.</summary>
internal static class RouteSection
{
    private const string Usb = "usb", Controller = "controller", Input = "input", Optical = "optical", Virtual = "virtual";

    private static readonly ImmutableArray<string> VirtualDrivers = ["usb-kbd", "usb-mouse", "usb-tablet"];

    private static readonly ImmutableArray<string> UsbMatchKeys = ["port", "below", "serial", "id"];

    private static readonly UsbMatch NoUsb = new UsbMatch.BySerial("", null);
    private static readonly InputMatch NoInput = new InputMatch.ByLink("");

    /// <summary>Something about it was wrong, which is told already.</summary>
    public static bool IsUnread(DeviceRoute route) => route switch
    {
        DeviceRoute.Usb usb => ReferenceEquals(usb.Match, NoUsb),
        DeviceRoute.Input input => ReferenceEquals(input.Match, NoInput),
        DeviceRoute.Optical optical => optical.ById.Length == 0,
        _ => false,
    };

    public static DeviceRoute Read(TableReader table, ImmutableArray<MachineOptions> machines)
    {
        if (!table.Has("route"))
        {
            table.Fail(
                "route",
                "is missing; write \"usb\" for a USB device, \"controller\" for a whole USB controller, \"input\" for a keyboard or mouse that is " +
                "relayed, \"optical\" for a drive, or \"virtual\" for a device that QEMU emulates");
        }

        var word = table.Word("route", "", (Usb, Usb), (Controller, Controller), (Input, Input), (Optical, Optical), (Virtual, Virtual));
        return (word.Length > 0 ? word : Guess(table)) switch
        {
            Controller => new DeviceRoute.Controller(Functions(table)),
            Input => new DeviceRoute.Input(InputDevice(table)),
            Optical => new DeviceRoute.Optical(Drive(table), Auto(table, machines)),
            Virtual => EmulatedDevice(table),
            _ => new DeviceRoute.Usb(UsbDevice(table)),
        };
    }

    /// <summary>So that a missing or misspelt route brings no further errors with it.</summary>
    private static string Guess(TableReader table) =>
        table.Has("functions") ? Controller : table.Has("drive") ? Optical : table.Has("link") ? Input : table.Has("driver") ? Virtual : Usb;

    private static DeviceRoute.Virtual EmulatedDevice(TableReader table)
    {
        var words = VirtualDrivers.Select(driver => (driver, driver)).ToArray();
        if (!table.Has("driver")) table.Fail("driver", $"is missing; write one of {string.Join(", ", VirtualDrivers.Select(driver => $"\"{driver}\""))}");
        return new(table.Word("driver", VirtualDrivers[0], words));
    }

    private static UsbMatch UsbDevice(TableReader table)
    {
        var port = table.Read<UsbPort?>("port", null, text => UsbPort.Parse(text));
        var below = table.Read<UsbPort?>("below", null, text => UsbPort.Parse(text));
        var serial = table.Read<string?>("serial", null, Serial);
        var id = table.Read<VidPid?>("id", null, text => VidPid.Parse(text));
        foreach (var alone in UsbMatchKeys.Take(2).Where(table.Has))
        {
            foreach (var key in UsbMatchKeys.Where(key => key != alone && table.Has(key)))
                table.Fail(key, $"can't be used together with {alone}; a device is recognized by port, by serial (and id), by id, or as all below a port: keep one");
            return (alone == "port" ? port : below) is { } p ? alone == "port" ? new UsbMatch.ByPort(p) : new UsbMatch.Below(p) : NoUsb;
        }

        if (table.Has("serial")) return serial is null ? NoUsb : new UsbMatch.BySerial(serial, id);
        if (table.Has("id")) return id is { } only ? new UsbMatch.ById(only) : NoUsb;
        table.Fail("port", "is missing; write port = \"1-4\" (as in /sys/bus/usb/devices), or serial, or id, or below = \"1-4\" for all behind a hub, to say which device it is");
        return NoUsb;
    }

    private static string Serial(string text) => text.Length is > 0 and <= 126 && !text.Any(char.IsControl)
        ? text
        : throw new FormatException("is no USB serial number; write the value that 'lsusb -v' shows as iSerial");

    private static ImmutableArray<PciAddress> Functions(TableReader table)
    {
        var functions = table.List("functions", PciAddress.ParseShort);
        if (table.Texts("functions").IsEmpty) table.Fail("functions", "names no PCI function; write functions = [\"00:1a.0\"], as lspci shows it");
        return functions;
    }

    private static InputMatch InputDevice(TableReader table)
    {
        var port = table.Read<UsbPort?>("port", null, text => UsbPort.Parse(text));
        var link = table.Read<string?>("link", null, LinkName);
        if (table.Has("port"))
        {
            if (table.Has("link")) table.Fail("link", "can't be used together with port; keep one");
            return port is { } p ? new InputMatch.ByPort(p) : NoInput;
        }

        if (table.Has("link")) return link is null ? NoInput : new InputMatch.ByLink(link);
        table.Fail("port", "is missing; write port = \"1-4\" (as in /sys/bus/usb/devices), or link = \"…\", a name in /dev/input/by-id or by-path");
        return NoInput;
    }

    private static string Drive(TableReader table) => table.Require("drive", "", LinkName, "the name of its link in /dev/disk/by-id, as drive = \"ata-…\"");

    private static string LinkName(string text)
    {
        var name = text[(text.LastIndexOf('/') + 1)..];
        return name is { Length: > 0 and <= 255 } and not ("." or "..") && !name.Any(char.IsControl)
            && (name.Length == text.Length || text.StartsWith("/dev/", StringComparison.Ordinal))
            ? name
            : throw new FormatException($"'{text}' is no name of a link; write the last part of its path in /dev");
    }

    /// <summary>The machine that gets the drive by itself.</summary>
    private static MachineId? Auto(TableReader table, ImmutableArray<MachineOptions> machines) => table.Read<MachineId?>(
        "auto", null,
        text => machines.FirstOrDefault(machine => machine.Id.Value == text)?.Id
            ?? throw new FormatException($"there is no machine '{text}'{Spelling.Hint(text, machines.Select(machine => machine.Id.Value))}"),
        "the name of the machine that gets the drive when a disc is put in");
}
