using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Tests.Configuration;
using Xunit;

namespace KvmSwitch.Tests.Machines;

public sealed class QemuArgumentsTests
{
    private const string HostId = "00112233445566778899aabbccddeeff\n";

    private static readonly FirmwareFiles Ovmf = new("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd");

    /// <summary>Name of the golden file, and the machine's configuration. In the text <c>|</c> is a line break.</summary>
    public static TheoryData<string, string> Machines { get; } = new()
    {
        { "defaults", "[machine.win]" },
        {
            "demo",
            "[machine.demo]|memory = \"256M\"|accelerator = \"tcg\"|firmware = \"bios\"|rtc = \"utc\"|kernel = \"/guest/vmlinuz\"|initrd = \"/guest/initrd.img\"|" +
            "append = \"console=ttyS0 panic=-1, quiet\"|disks = [{ file = \"/guest/state.img\", cache = \"writeback\" }]|extra_serial = [\"watch\"]"
        },
        {
            "windows",
            "[machine.win]|memory = \"8G\"|cpus = 3|disks = [{ file = \"/dev/disk/by-id/ata-SSD\" }, { file = \"/images/data.qcow2\", cache = \"writeback\", read_only = true }]|" +
            "network = { kind = \"tap\", name = \"tap0\", mac = \"52:54:00:12:34:56\" }|root_ports = 8"
        },
        {
            "everything",
            "[machine.win]|display = \"vnc\"|root_ports = 16|usb = { controllers = 8, ports = 15 }|serial = false|extra_serial = [\"a\"]|" +
            "firmware_code = \"/a,b/code.qcow2\"|firmware_vars = \"/a,b/vars.qcow2\"|disks = [{ file = \"/a,b/disk, one.raw\" }]|" +
            "kernel = \"/a,b/vmlinuz\"|initrd = \"/a,b/initrd\"|extra_arguments = [\"-device\", \"virtio-scsi-pci,id=scsi0\"]"
        },
        { "bare", "[machine.bare]|network = { kind = \"none\" }|serial = false|root_ports = 0|usb = { controllers = 1, ports = 1 }|firmware = \"bios\"" },
    };

    [Theory]
    [MemberData(nameof(Machines))]
    public void The_command_line_is_the_golden_one(string name, string toml)
    {
        var machine = Parse(toml);
        var actual = string.Concat(Build(machine, PathsOf(machine)).Select(argument => argument.StartsWith('-') ? $"\n{argument}" : $" {argument}")).TrimStart('\n') + "\n";
        var golden = Repository.PathOf("tests", "KvmSwitch.Tests", "Machines", $"{name}.txt");
        if (Environment.GetEnvironmentVariable("KVMSWITCH_WRITE_GOLDEN") == "1") File.WriteAllText(golden, actual);
        Assert.Equal(File.ReadAllText(golden), actual);
    }

    [Theory]
    [MemberData(nameof(Machines))]
    public void No_two_devices_share_a_slot_or_an_id(string name, string toml)
    {
        var arguments = Build(Parse(toml), PathsOf(Parse(toml)));
        Assert.Distinct(arguments.SelectMany(argument => argument.Split(',')).Where(part => part.StartsWith("addr=", StringComparison.Ordinal)));
        Assert.Distinct(arguments.Where(argument => argument != "").SelectMany(argument => argument.Split(',')).Where(part => part.StartsWith("id=", StringComparison.Ordinal)));
        Assert.NotEmpty(name);
    }

    [Fact]
    public void Somebody_elses_VNC_server_stays_the_only_one()
    {
        var machine = Parse("[machine.win]|extra_arguments = [\"-vnc\", \":1,password=on\"]");
        var arguments = Build(machine, PathsOf(machine));
        Assert.Equal(":1,password=on", arguments[arguments.IndexOf("-vnc") + 1]);
        Assert.Single(arguments, "-vnc");
    }

    [Fact]
    public void The_machine_keeps_its_UUID_and_MAC_address_unless_its_name_or_host_changes()
    {
        var (win, other) = (Parse("[machine.win]"), Parse("[machine.other]"));
        var paths = PathsOf(win);
        string[] identities = [Identity(win, HostId), Identity(other, HostId), Identity(win, "another"), Identity(win, "")];
        Assert.Distinct(identities);
        Assert.Equal(identities[0], Identity(win with { MemoryMiB = 64, Cpus = 7, RootPorts = 0 }, HostId.Trim()));

        string Identity(ManagedMachine machine, string hostId)
        {
            var arguments = QemuArguments.Build(machine, paths, Ovmf, hostId);
            var uuid = Guid.Parse(arguments[arguments.IndexOf("-uuid") + 1]);
            Assert.Equal((8, 0x8), (uuid.Version, uuid.Variant & 0xc));
            return uuid + arguments.Single(argument => argument.StartsWith("virtio-net-pci", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void What_was_plugged_before_keeps_its_place_when_more_is_added()
    {
        var before = Build(Parse("[machine.win]|disks = [{ file = \"/a\" }]|root_ports = 2|usb = { controllers = 2 }|kernel = \"/k\""), PathsOf(Parse("[machine.win]")));
        var after = Build(Parse("[machine.win]|disks = [{ file = \"/a\" }, { file = \"/b\" }]|root_ports = 9|usb = { controllers = 4 }|display = \"vnc\"|kernel = \"/k\""), PathsOf(Parse("[machine.win]")));
        Assert.Empty(before.Where(argument => argument.Contains("addr=", StringComparison.Ordinal)).Except(after));
    }

    [Fact]
    public void A_guest_port_is_on_the_bus_of_its_controller()
    {
        var win = Parse("[machine.win]");
        Assert.Equal("kvmswitch-usb3.0", win.BusOf(new(3, 2)));
        Assert.Contains(Build(win, PathsOf(win)), argument => argument.StartsWith("qemu-xhci,id=kvmswitch-usb3,", StringComparison.Ordinal));
        var old = new ExternalMachine(MachineId.Parse("old"), "/q", ["usb.0", "more.0"], 4);
        Assert.Equal("more.0", old.BusOf(new(1, 2)));
    }

    [Fact]
    public void A_socket_path_that_Linux_would_cut_off_is_refused()
    {
        var win = Parse("[machine.win]");
        var longest = "/" + new string('é', (MachinePaths.MaxSocketPath - "/console.sock".Length) / 2 - 1);
        Assert.NotEmpty(Build(win, new MachinePaths(longest, "/s")));
        var refusal = Assert.Throws<SwitchException>(() => Build(win, new MachinePaths(longest + "éé", "/s")));
        Assert.StartsWith($"The socket path {longest}éé/", refusal.Message, StringComparison.Ordinal);
        Assert.EndsWith("/console.sock is longer than the 107 bytes that Linux allows; use a shorter runtime directory or name.", refusal.Message, StringComparison.Ordinal);
    }

    private static ManagedMachine Parse(string toml) => Assert.IsType<ManagedMachine>(Toml.Parse(toml.Replace('|', '\n')).Machines.Single());

    private static MachinePaths PathsOf(ManagedMachine machine) => MachinePaths.Below("/run/kvmswitch", "/var/lib/kvmswitch", machine.Id);

    private static ImmutableArray<string> Build(ManagedMachine machine, MachinePaths paths) => QemuArguments.Build(
        machine,
        paths,
        machine.Firmware switch
        {
            FirmwareOptions.Uefi { Code: { } code, Variables: { } variables } => new(code, variables),
            FirmwareOptions.Uefi => Ovmf,
            _ => null,
        },
        HostId);
}
