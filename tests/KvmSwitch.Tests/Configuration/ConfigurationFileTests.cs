using System.Net;
using System.Net.NetworkInformation;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Machines;
using Xunit;

namespace KvmSwitch.Tests.Configuration;

public sealed class ConfigurationFileTests
{
    private const string Everything = """
        [daemon]
        listen = ["192.168.1.10:7443", "[fd00::10]:7443"]
        advertise = ["10.0.2.2:7443", "myhost.lan:7443"]
        qemu = "/opt/qemu"
        qemu_user = "someone"
        [lease]
        heartbeat = "200ms"
        timeout = "3s"
        reconnect_grace = "1m"
        [machine.win]
        kind = "managed"
        memory = "8G"
        cpus = 3
        firmware = "uefi"
        firmware_code = "/f/code.fd"
        firmware_vars = "/f/vars.fd"
        accelerator = "tcg"
        rtc = "utc"
        disks = [
          { file = "/dev/disk/by-id/x", format = "raw", cache = "none", read_only = true },
          { file = "/images/y.qcow2", cache = "writeback" },
        ]
        network = { kind = "tap", name = "tap0", mac = "52:54:00:12:34:56" }
        usb = { controllers = 2, ports = 15 }
        root_ports = 16
        kernel = "/k"
        initrd = "/i"
        append = "console=ttyS0"
        serial = false
        extra_serial = ["watch"]
        display = "vnc"
        extra_arguments = ["-S", ""]
        shutdown_timeout = "90s"
        restart = "on-crash"
        [machine.old]
        kind = "external"
        qmp = "/run/qmp.sock"
        usb_buses = ["usb.0", "more.0"]
        usb_ports = 4
        [device.keyboard]
        route = "usb"
        class = "hid"
        label = "The keyboard"
        port = "1-4.2"
        [device.stick]
        route = "usb"
        class = "storage"
        serial = "A B"
        id = "0781:5567"
        [device.audio]
        route = "usb"
        class = "audio"
        id = "08bb:2902"
        guest_port = "1:4"
        [device.pointer]
        route = "virtual"
        driver = "usb-tablet"
        [set.desk]
        devices = ["keyboard", "pointer"]
        [guest.win]
        may_request = ["desk", "audio", "keyboard"]
        [[hotkey]]
        where = "guest"
        chord = "ctrl+alt+shift+h"
        action = "return"
        [[hotkey]]
        chord = "scrolllock"
        action = "request"
        targets = ["desk"]
        machines = ["win"]
        """;

    private readonly SwitchConfiguration _all = Toml.Parse(Everything);

    [Fact]
    public void Daemon_and_lease_are_read()
    {
        Assert.Equal([IPEndPoint.Parse("192.168.1.10:7443"), IPEndPoint.Parse("[fd00::10]:7443")], _all.Daemon.Listen);
        Assert.Equal(["10.0.2.2:7443", "myhost.lan:7443"], _all.Daemon.Advertise);
        Assert.Equal(("/opt/qemu", "someone"), (_all.Daemon.Qemu, _all.Daemon.QemuUser));
        Assert.Equal(new LeaseOptions(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(3), TimeSpan.FromMinutes(1)), _all.Lease);
    }

    [Fact]
    public void A_managed_machine_is_read()
    {
        var win = Assert.IsType<ManagedMachine>(_all.Machines[0]);
        Assert.Equal((8192, 3, 16, false), (win.MemoryMiB, win.Cpus, win.RootPorts, win.Serial));
        Assert.Equal(new FirmwareOptions.Uefi("/f/code.fd", "/f/vars.fd"), win.Firmware);
        Assert.Equal((Accelerator.Tcg, RealTimeClock.Utc, MachineDisplay.Vnc), (win.Accelerator, win.Clock, win.Display));
        Assert.Equal(
            [new("/dev/disk/by-id/x", DiskFormat.Raw, "none", true), new DiskOptions("/images/y.qcow2", DiskFormat.Qcow2, "writeback", false)], win.Disks);
        Assert.Equal(new NetworkOptions.Tap("tap0", PhysicalAddress.Parse("52-54-00-12-34-56")), win.Network);
        Assert.Equal(new UsbTopology(2, 15), win.Usb);
        Assert.Equal(new DirectKernel("/k", "/i", "console=ttyS0"), win.Kernel);
        Assert.Equal(["watch"], win.ExtraSerial);
        Assert.Equal(["-S", ""], win.ExtraArguments);
        Assert.Equal(TimeSpan.FromSeconds(90), win.ShutdownTimeout);
        Assert.Equal(RestartPolicy.OnCrash, win.Restart);
        Assert.Equal(RestartPolicy.Never, new ManagedMachine(win.Id).Restart);
    }

    [Fact]
    public void An_external_machine_is_read()
    {
        var old = Assert.IsType<ExternalMachine>(_all.Machines[1]);
        Assert.Equal(("/run/qmp.sock", new UsbTopology(2, 4)), (old.QmpSocket, old.Usb));
        Assert.Equal(["usb.0", "more.0"], old.UsbBuses);
    }

    [Fact]
    public void Devices_are_read_in_the_order_of_the_file() => Assert.Equal(
        [
            new(DeviceId.Parse("keyboard"), DeviceClass.Hid, new DeviceRoute.Usb(new UsbMatch.ByPort(UsbPort.Parse("1-4.2"))), new(0, 1)) { Label = "The keyboard" },
            new(DeviceId.Parse("stick"), DeviceClass.Storage, new DeviceRoute.Usb(new UsbMatch.BySerial("A B", VidPid.Parse("0781:5567"))), new(1, 1)),
            new(DeviceId.Parse("audio"), DeviceClass.Audio, new DeviceRoute.Usb(new UsbMatch.ById(VidPid.Parse("08bb:2902"))), new(1, 4)),
            new Device(DeviceId.Parse("pointer"), DeviceClass.Hid, new DeviceRoute.Virtual("usb-tablet"), new(1, 2)),
        ],
        _all.Devices);

    [Fact]
    public void Sets_rights_and_hotkeys_are_read()
    {
        DeviceId[] desk = [DeviceId.Parse("keyboard"), DeviceId.Parse("pointer")];
        Assert.Equal(desk, _all.Sets[0].Devices);
        Assert.Equal([.. desk, DeviceId.Parse("audio")], _all.Machines[0].MayRequest);
        Assert.Empty(_all.Machines[1].MayRequest);
        Assert.Equal(["win", "old"], _all.Hotkeys[0].Machines.Select(machine => machine.Value));
        Assert.Equal((Chord.Parse("ctrl+alt+shift+h"), HotkeyAction.Return), (_all.Hotkeys[0].Chord, _all.Hotkeys[0].Action));
        Assert.Empty(_all.Hotkeys[0].Targets);
        Assert.Equal(HotkeyAction.Request, _all.Hotkeys[1].Action);
        Assert.Equal(["desk"], _all.Hotkeys[1].Targets);
        Assert.Equal(["win"], _all.Hotkeys[1].Machines.Select(machine => machine.Value));
    }

    [Fact]
    public void A_name_resolves_to_its_devices()
    {
        Assert.Equal(["keyboard", "pointer"], _all.Resolve("desk").Select(device => device.Value));
        Assert.Equal(["audio"], _all.Resolve("audio").Select(device => device.Value));
        Assert.Empty(_all.Resolve("nothing"));
    }

    [Fact]
    public void Everything_has_a_default()
    {
        var configuration = Toml.Parse("[machine.win]\n[device.keys]\nroute = \"virtual\"\ndriver = \"usb-kbd\"");
        Assert.Equal(("", "", null, "kvmswitch-qemu"), (string.Join(' ', configuration.Daemon.Listen), string.Join(' ', configuration.Daemon.Advertise), configuration.Daemon.Qemu, configuration.Daemon.QemuUser));
        Assert.Equal(LeaseOptions.Default, configuration.Lease);
        Assert.Equal(Described(new ManagedMachine(MachineId.Parse("win"))), Described(configuration.Machines.Single()));
        Assert.Equal(DeviceClass.Hid, configuration.Devices[0].Class);
    }

    [Fact]
    public void What_is_advertised_is_where_it_listens_by_default() =>
        Assert.Equal(["192.168.1.10:7443"], Toml.Parse("daemon.listen = [\"192.168.1.10:7443\"]").Daemon.Advertise);

    [Fact]
    public void Dotted_inline_and_header_tables_mean_the_same()
    {
        var dotted = Toml.Parse("machine.a.cpus = 3\nmachine.a.usb.ports = 9").Machines[0];
        var inline = Toml.Parse("machine = { a = { cpus = 3, usb = { ports = 9 } } }").Machines[0];
        var headers = Toml.Parse("[machine.a.usb]\nports = 9\n[machine.a]\ncpus = 3").Machines[0];
        Assert.Equal(Described(new ManagedMachine(MachineId.Parse("a")) { Cpus = 3, UsbOptions = new(4, 9) }), Described(dotted));
        Assert.Equal(Described(dotted), Described(inline));
        Assert.Equal(Described(dotted), Described(headers));
    }

    [Fact]
    public void The_sample_file_is_valid_and_says_what_it_shows()
    {
        var text = File.ReadAllText(Repository.PathOf("installer", "linux", "kvmswitch.toml"));
        var sample = Toml.Parse(text);
        Assert.Equal(["keyboard", "mouse"], sample.Resolve("desk").Select(device => device.Value));
        Assert.Equal("ctrl+alt+shift+h", sample.Hotkeys.Single().Chord.ToString());
        Assert.Equal(Described(new ManagedMachine(MachineId.Parse("win"))), Described(sample.Machines.Single()));
    }

    [Fact]
    public void What_the_sample_file_shows_in_comments_is_valid()
    {
        var lines = File.ReadAllLines(Repository.PathOf("installer", "linux", "kvmswitch.toml"))
            .Select(line => line.StartsWith("# ", StringComparison.Ordinal) && (line.Contains(" = ", StringComparison.Ordinal) || line.StartsWith("# [", StringComparison.Ordinal)) ? line[2..] : line)
            .Where(line => !line.StartsWith("kind", StringComparison.Ordinal));
        var sample = Toml.Parse(string.Join('\n', lines));
        Assert.Equal(["192.168.1.10:7443"], sample.Daemon.Advertise);
        Assert.Equal(sample.Resolve("desk"), sample.Machines[0].MayRequest);
        var win = Assert.IsType<ManagedMachine>(sample.Machines[0]);
        Assert.Equal(Described(new ManagedMachine(win.Id)), Described(win with { Disks = [], TakesDrives = false }));
        Assert.Equal([new("/dev/disk/by-id/ata-EXAMPLE", DiskFormat.Raw, "none", false)], win.Disks);
    }

    /// <summary>All that is in it: the record's own words, and the command line for what those leave out.</summary>
    private static string Described(MachineOptions machine) =>
        $"{machine}\n{string.Join('\n', QemuArguments.Build((ManagedMachine)machine, new("/r", "/s"), null, ""))}";
}
