using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads a machine that we start.</summary>
internal static class ManagedMachineSection
{
    /// <summary>PC hardware has four serial ports.</summary>
    private const int MaxSerial = 4;

    // Their sockets would have the name of one that the machine has anyway.
    private static readonly ImmutableArray<string> TakenSockets = ["qmp", "console", "vnc"];

    public static ManagedMachine Read(MachineId id, TableReader table)
    {
        var standard = new ManagedMachine(id);
        return standard with
        {
            MemoryMiB = table.Read("memory", standard.MemoryMiB, Quantities.MemoryMiB, Quantities.MemoryForm),
            Cpus = table.Integer("cpus", standard.Cpus, 1, 255),
            Firmware = Firmware(table),
            Accelerator = table.Word("accelerator", standard.Accelerator, ("kvm", Accelerator.Kvm), ("tcg", Accelerator.Tcg)),
            Clock = table.Word("rtc", standard.Clock, ("localtime", RealTimeClock.LocalTime), ("utc", RealTimeClock.Utc)),
            Disks = DiskSection.ReadAll(table),
            Network = NetworkSection.Read(table),
            UsbOptions = Usb(table.Table("usb")),
            RootPorts = table.Integer("root_ports", standard.RootPorts, 0, 16),
            Kernel = Kernel(table),
            Serial = table.Flag("serial", standard.Serial),
            ExtraSerial = ExtraSerial(table),
            Display = table.Word("display", standard.Display, ("none", MachineDisplay.None), ("vnc", MachineDisplay.Vnc)),
            ExtraArguments = [.. table.Texts("extra_arguments").Select(text => text.Value)],
            ShutdownTimeout = table.Read(
                "shutdown_timeout",
                standard.ShutdownTimeout,
                text => Quantities.Duration(text, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(60)),
                Quantities.DurationForm),
            Restart = table.Word("restart", standard.Restart, ("never", RestartPolicy.Never), ("on-crash", RestartPolicy.OnCrash)),
        };
    }

    private static FirmwareOptions Firmware(TableReader table)
    {
        var isBios = table.Word("firmware", false, ("uefi", false), ("bios", true));
        var code = table.Read<string?>("firmware_code", null, Quantities.AbsolutePath);
        var variables = table.Read<string?>("firmware_vars", null, Quantities.AbsolutePath);
        if (isBios && (table.Has("firmware_code") || table.Has("firmware_vars")))
            table.Fail(table.Has("firmware_code") ? "firmware_code" : "firmware_vars", "is for UEFI only; remove it, or set firmware = \"uefi\"");
        if (table.Has("firmware_code") != table.Has("firmware_vars"))
        {
            table.Fail(
                table.Has("firmware_code") ? "firmware_code" : "firmware_vars",
                "firmware_code and firmware_vars belong together; set both, or neither for the distribution's");
        }

        return isBios ? new FirmwareOptions.Bios() : new FirmwareOptions.Uefi(code, variables);
    }

    private static UsbTopology Usb(TableReader table)
    {
        var usb = new UsbTopology(
            table.Integer("controllers", UsbTopology.Default.Controllers, 1, UsbTopology.MaxControllers),
            table.Integer("ports", UsbTopology.Default.Ports, 1, UsbTopology.MaxPorts));
        table.Finish();
        return usb;
    }

    private static DirectKernel? Kernel(TableReader table)
    {
        var kernel = table.Read<string?>("kernel", null, Quantities.AbsolutePath);
        var initrd = table.Read<string?>("initrd", null, Quantities.AbsolutePath);
        var append = table.Text("append", "");
        if (table.Has("kernel")) return kernel is null ? null : new(kernel, initrd, append);
        foreach (var key in new[] { "initrd", "append" })
            if (table.Has(key)) table.Fail(key, "is for a kernel that QEMU loads itself; set kernel too, or remove it");
        return null;
    }

    private static ImmutableArray<string> ExtraSerial(TableReader table)
    {
        var names = table.List("extra_serial", Name);
        if (names.Length > MaxSerial - 1) table.Fail("extra_serial", $"a machine has {MaxSerial} serial ports at most; name {MaxSerial - 1} or fewer");
        return names;

        static string Name(string text) =>
            text.Length is > 0 and <= 16 && char.IsAsciiLetterLower(text[0]) && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')
                ? TakenSockets.Contains(text) ? throw new FormatException($"'{text}' is the name of another socket of the machine; choose a different one") : text
                : throw new FormatException($"'{text}' is no name for a serial port; write up to 16 lower-case letters, digits and '-', beginning with a letter");
    }
}
