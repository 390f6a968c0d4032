using CsCheck;
using KvmSwitch.Daemon.Configuration;
using Xunit;

namespace KvmSwitch.Tests.Configuration;

public sealed class ConfigurationErrorTests
{
    /// <summary>One mistake each. In the text <c>|</c> is a line break.</summary>
    public static TheoryData<string, string> Mistakes { get; } = new()
    {
        { "[machine.win]|memroy = \"4G\"", "f:2:1: machine.win.memroy: is no key that belongs here; did you mean 'memory'?" },
        { "[daemon]|colour = 1", "f:2:1: daemon.colour: is no key that belongs here; the keys are advertise, guest_tools, listen, qemu, qemu_user, rescue_within" },
        { "[machin.win]", "f:1:2: machin: is no key that belongs here; did you mean 'machine'?" },
        { "[machine.win]|  cpus = \"3\"", "f:2:10: machine.win.cpus: is a string; write a number without quotes" },
        { "[machine.win]|cpus = 0", "f:2:8: machine.win.cpus: is 0; write a number from 1 to 255" },
        { "[machine.win]|serial = \"yes\"", "f:2:10: machine.win.serial: is a string; write true or false without quotes" },
        { "[machine.win]|memory = 4", "f:2:10: machine.win.memory: is a number; write a size with its unit, as \"4G\" or \"4096M\"" },
        { "[machine.win]|memory = \"4X\"", "f:2:10: machine.win.memory: '4X' is no size; write a size with its unit, as \"4G\" or \"4096M\"" },
        { "[machine.win]|memory = \"1M\"", "f:2:10: machine.win.memory: '1M' is out of range; write 64M to 16T" },
        { "[machine.win]|memory = \"99999999999G\"", "f:2:10: machine.win.memory: '99999999999G' is no size; write a size with its unit, as \"4G\" or \"4096M\"" },
        { "[machine.win]|rtc = 1.5", "f:2:7: machine.win.rtc: is a number with a point; write one of \"localtime\", \"utc\"" },
        { "[machine.win]|firmware = \"efi\"", "f:2:12: machine.win.firmware: 'efi' is unknown; write one of \"uefi\", \"bios\"" },
        { "[machine.win]|firmware = \"bios\"|firmware_code = \"/a\"|firmware_vars = \"/b\"", "f:3:17: machine.win.firmware_code: is for UEFI only; remove it, or set firmware = \"uefi\"" },
        { "[machine.win]|firmware_vars = \"/b\"", "f:2:17: machine.win.firmware_vars: firmware_code and firmware_vars belong together; set both, or neither for the distribution's" },
        { "[machine.win]|initrd = \"/b\"", "f:2:10: machine.win.initrd: is for a kernel that QEMU loads itself; set kernel too, or remove it" },
        { "[machine.win]|kernel = \"b\"", "f:2:10: machine.win.kernel: 'b' is no absolute path; write the whole path, beginning with '/'" },
        { "[machine.win]|disks = [{ format = \"raw\" }]", "f:2:10: machine.win.disks[0].file: is missing; write the absolute path of an image or a block device" },
        { "[machine.win]|disks = [{ file = \"/a.qcow2\", format = \"raw\" }]", "f:2:40: machine.win.disks[0].format: is raw, but the file's name says qcow2; write format = \"qcow2\", or rename the file" },
        { "[machine.win]|disks = [{ file = \"/a\" }, { file = \"/a\" }]", "f:2:36: machine.win.disks[1].file: is a disk of this machine already; remove one of the two" },
        { "[machine.win]|disks = [\"/a\"]", "f:2:10: machine.win.disks: holds a string; write [ { file = \"/path\" } ]" },
        { "[machine.win]|network = { kind = \"tap\" }", "f:2:11: machine.win.network.name: is missing; write the name of the TAP interface" },
        { "[machine.win]|network = { kind = \"tap\", name = \"a,script=/x\" }", "f:2:34: machine.win.network.name: 'a,script=/x' is no name of a network interface; write one of 1 to 15 characters, as tap0" },
        { "[machine.win]|network = { mac = \"52:54:00:12:34\" }", "f:2:19: machine.win.network.mac: '52:54:00:12:34' is no MAC address; write it as 52:54:00:12:34:56" },
        { "[machine.win]|network = { mac = \"53:54:00:12:34:56\" }", "f:2:19: machine.win.network.mac: '53:54:00:12:34:56' is a group address, which no network card can have; begin it with 52:54:00" },
        { "[machine.win]|network = { kind = \"none\", mac = \"52:54:00:12:34:56\" }", "f:2:28: machine.win.network.mac: is no key that belongs here; the keys are kind" },
        { "[machine.win]|usb = { ports = 16 }", "f:2:17: machine.win.usb.ports: is 16; write a number from 1 to 15" },
        { "[machine.win]|usb = 3", "f:2:7: machine.win.usb: is a number; write a table ([machine.win.usb])" },
        { "[machine.win]|extra_serial = [\"qmp\"]", "f:2:17: machine.win.extra_serial: 'qmp' is the name of another socket of the machine; choose a different one" },
        { "[machine.win]|extra_serial = [\"a/b\"]", "f:2:17: machine.win.extra_serial: 'a/b' is no name for a serial port; write up to 16 lower-case letters, digits and '-', beginning with a letter" },
        { "[machine.win]|extra_serial = [\"a\", \"b\", \"c\", \"d\"]", "f:2:16: machine.win.extra_serial: a machine has 4 serial ports at most; name 3 or fewer" },
        { "[machine.win]|extra_arguments = [1]", "f:2:20: machine.win.extra_arguments: holds a number; write an array of strings ([\"…\"])" },
        { "[machine.win]|restart = \"always\"", "f:2:11: machine.win.restart: 'always' is unknown; write one of \"never\", \"on-crash\"" },
        { "[machine.win]|shutdown_timeout = \"2h\"", "f:2:20: machine.win.shutdown_timeout: '2h' is no duration; write a duration with its unit, as \"500ms\", \"2s\" or \"1m\"" },
        { "[machine.win]|kind = \"external\"|usb_buses = [\"usb.0\"]", "f:1:10: machine.win.qmp: is missing; write the absolute path of the QMP socket" },
        { "[machine.win]|kind = \"external\"|qmp = \"/q\"", "f:1:10: machine.win.usb_buses: is missing; write QEMU's names of the USB buses that may take devices, as [\"usb.0\"]" },
        { "[machine.win]|kind = \"external\"|qmp = \"/q\"|usb_buses = [\"usb.0,x=y\"]", "f:4:14: machine.win.usb_buses: 'usb.0,x=y' is no name of a QEMU bus; write it as \"usb.0\" (see 'info qtree' in QEMU's monitor)" },
        { "[machine.host]", "f:1:10: machine.host: 'host' can't be the name of a machine: it means this computer" },
        { "[machine.Win]", "f:1:10: machine.Win: 'Win' is no name for a machine: a name is 1 to 32 lower-case letters, digits and '-', and starts with a letter" },
        { "[machine]|win = 3", "f:2:1: machine.win: is no table; write [machine.NAME] and the keys below it" },
        { "[lease]|heartbeat = \"10ms\"", "f:2:13: lease.heartbeat: '10ms' is out of range; write 100ms to 10s" },
        { "[lease]|heartbeat = \"1s\"", "f:2:13: lease.heartbeat: the timeout (2s) must be more than twice the heartbeat (1s); change one of them" },
        { "[lease]|timeout = \"1s\"", "f:2:11: lease.timeout: the timeout (1s) must be more than twice the heartbeat (500ms); change one of them" },
        { "[lease]|timeout = \"61s\"", "f:2:11: lease.timeout: '61s' is out of range; write 1ms to 1m" },
        { "[lease]|timeout = 2", "f:2:11: lease.timeout: is a number; write a duration with its unit, as \"500ms\", \"2s\" or \"1m\"" },
        { "[daemon]|listen = [\"0.0.0.0:7443\"]", "f:2:11: daemon.listen: '0.0.0.0:7443' would open the port on every network of this computer; write the address that the guest reaches, as that of the bridge" },
        { "[daemon]|listen = [\"[::]:7443\"]", "f:2:11: daemon.listen: '[::]:7443' would open the port on every network of this computer; write the address that the guest reaches, as that of the bridge" },
        { "[daemon]|listen = [\"[::ffff:0.0.0.0]:7443\"]", "f:2:11: daemon.listen: '[::ffff:0.0.0.0]:7443' would open the port on every network of this computer; write the address that the guest reaches, as that of the bridge" },
        { "[daemon]|listen = [\"192.168.1.10\"]", "f:2:11: daemon.listen: '192.168.1.10' is no address and port; write it as 192.168.1.10:7443 or [fd00::10]:7443" },
        { "[daemon]|listen = [\"224.0.0.1:7443\"]", "f:2:11: daemon.listen: '224.0.0.1:7443' is a group address; write the address of this computer that the guest reaches" },
        { "[daemon]|listen = [\"10.0.0.1:1\", \"10.0.0.1:1\"]", "f:2:25: daemon.listen: '10.0.0.1:1' is there twice; remove one" },
        { "[daemon]|listen = \"10.0.0.1:1\"", "f:2:10: daemon.listen: is a string; write an array of strings ([\"…\"])" },
        { "[daemon]|advertise = [\"10.0.0.1:1\"]", "f:2:13: daemon.advertise: has no use while nothing listens; set daemon.listen too, or remove it" },
        { "[daemon]|listen = [\"10.0.0.1:1\"]|advertise = [\"my host:1\"]", "f:3:14: daemon.advertise: 'my host:1' is no address and port; write it as 192.168.1.10:7443 or myhost.lan:7443" },
        { "[daemon]|qemu_user = \"root\"", "f:2:13: daemon.qemu_user: QEMU is never run as root; write the name of a user without rights" },
        { "[daemon]|qemu_user = \"a b\"", "f:2:13: daemon.qemu_user: 'a b' is no user name; write one as useradd takes it" },
        { "[device.a]|port = \"1-4\"", "f:1:9: device.a.route: is missing; write \"usb\" for a USB device, \"controller\" for a whole USB controller, \"input\" for a keyboard or mouse that is relayed, \"optical\" for a drive, or \"virtual\" for a device that QEMU emulates" },
        { "[device.a]|route = \"usb\"", "f:1:9: device.a.port: is missing; write port = \"1-4\" (as in /sys/bus/usb/devices), or serial, or id, or below = \"1-4\" for all behind a hub, to say which device it is" },
        { "[device.a]|route = \"usb\"|port = \"14\"", "f:3:8: device.a.port: '14' is no USB port: write bus-port.port… as in /sys/bus/usb/devices (1-4, or 1-4.2 behind a hub)" },
        { "[device.a]|route = \"usb\"|id = \"1\"", "f:3:6: device.a.id: '1' is no USB id: write vendor:product in hexadecimal, as lsusb does (046d:c31c)" },
        { "[device.a]|route = \"usb\"|serial = \"\"", "f:3:10: device.a.serial: is no USB serial number; write the value that 'lsusb -v' shows as iSerial" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|id = \"046d:c31c\"", "f:4:6: device.a.id: can't be used together with port; a device is recognized by port, by serial (and id), by id, or as all below a port: keep one" },
        { "[device.a]|route = \"usb\"|below = \"1-4\"|port = \"1-4\"", "f:3:9: device.a.below: can't be used together with port; a device is recognized by port, by serial (and id), by id, or as all below a port: keep one" },
        { "[device.a]|route = \"usb\"|below = \"1-4\"|branch_ports = 99", "f:4:16: device.a.branch_ports: is 99; write a number from 1 to 15" },
        { "[device.a]|route = \"controller\"", "f:1:9: device.a.functions: names no PCI function; write functions = [\"00:1a.0\"], as lspci shows it" },
        { "[machine.m]|root_ports = 1|[device.a]|route = \"controller\"|functions = [\"00:1a.0\", \"0000:00:1a.1\"]", "f:5:13: device.a.functions: no root port is left for it: 2 are needed, and the machines have at most 1; raise root_ports" },
        { "[machine.m]|[device.a]|route = \"controller\"|functions = [\"1a.0\"]", "f:4:14: device.a.functions: '1a.0' is no PCI address: write domain:bus:device.function as lspci -D does (0000:00:14.0)" },
        { "[machine.m]|[device.a]|route = \"controller\"|functions = [\"00:1a.0\"]|[device.b]|route = \"controller\"|functions = [\"0000:00:1a.0\"]", "f:5:9: device.b: is recognized in the same way as the device 'a'; give one of them another port or serial" },
        { "[device.a]|route = \"input\"", "f:1:9: device.a.port: is missing; write port = \"1-4\" (as in /sys/bus/usb/devices), or link = \"…\", a name in /dev/input/by-id or by-path" },
        { "[device.a]|route = \"input\"|port = \"1-4\"|link = \"x\"", "f:4:8: device.a.link: can't be used together with port; keep one" },
        { "[device.a]|route = \"optical\"", "f:1:9: device.a.drive: is missing; write the name of its link in /dev/disk/by-id, as drive = \"ata-…\"" },
        { "[device.a]|route = \"optical\"|drive = \"../sda\"", "f:3:9: device.a.drive: '../sda' is no name of a link; write the last part of its path in /dev" },
        { "[device.a]|route = \"optical\"|drive = \"ata-x\"|auto = \"win\"", "f:4:8: device.a.auto: there is no machine 'win'" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|driver = \"usb-kbd\"", "f:4:1: device.a.driver: is no key that belongs here; the keys are below, class, guest_port, id, label, port, route, serial" },
        { "[device.a]|route = \"virtual\"", "f:1:9: device.a.driver: is missing; write one of \"usb-kbd\", \"usb-mouse\", \"usb-tablet\"" },
        { "[device.a]|route = \"virtual\"|driver = \"usb-storage\"", "f:3:10: device.a.driver: 'usb-storage' is unknown; write one of \"usb-kbd\", \"usb-mouse\", \"usb-tablet\"" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|[device.b]|route = \"usb\"|port = \"1-4\"", "f:4:9: device.b: is recognized in the same way as the device 'a'; give one of them another port or serial" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|[device.a]|class = \"hid\"", "f:4:9: device.a: is defined already in line 1; keep one of the two" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|port = \"1-5\"", "f:4:1: device.a.port: is defined already in line 3; keep one of the two" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|guest_port = \"0\"", "f:4:14: device.a.guest_port: '0' is no guest port; write controller:port, as \"0:3\" (controllers count from 0, ports from 1)" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|guest_port = \"4:1\"", "f:4:14: device.a.guest_port: is beyond the smallest machine's 4 USB controllers with 8 ports; write 0:1 to 3:8" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|[device.b]|route = \"usb\"|port = \"1-5\"|guest_port = \"0:1\"", "f:7:14: device.b.guest_port: 0:1 is the port of the device 'a'; set guest_port of one of them to a free one" },
        { "[machine.m]|usb = { controllers = 1, ports = 1 }|[device.a]|route = \"usb\"|port = \"1-4\"|[device.b]|route = \"usb\"|port = \"1-5\"", "f:6:9: device.b.guest_port: no USB port is left for this device: the smallest machine has 1 × 1 (controllers × ports); give it more" },
        { "[device.keyboard]|route = \"usb\"|port = \"1-4\"|[set.desk]|devices = [\"keybaord\"]", "f:5:12: set.desk.devices: there is no device 'keybaord'; did you mean 'keyboard'?" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|[set.a]|devices = [\"a\"]", "f:4:6: set.a: has the name of a device; choose another" },
        { "[set.a]", "f:1:6: set.a.devices: names no device; write devices = [\"…\"] with at least one" },
        { "[device.a]|route = \"usb\"|port = \"1-4\"|[set.s]|devices = [\"a\", \"a\"]", "f:5:17: set.s.devices: 'a' is there twice; remove one" },
        { "[machine.win]|[guest.wim]", "f:2:8: guest.wim: there is no machine 'wim'; did you mean 'win'?" },
        { "[machine.win]|[guest.win]|may_request = [\"desk\"]", "f:3:16: guest.win.may_request: there is no device or set 'desk'" },
        { "[[hotkey]]|chord = \"f13\"|action = \"return\"|targets = [\"desk\"]", "f:4:12: hotkey[0].targets: there is no device or set 'desk'" },
        { "[[hotkey]]|chord = \"f13\"|action = \"return\"|machines = [\"win\"]", "f:4:13: hotkey[0].machines: there is no machine 'win'" },
        { "[[hotkey]]|action = \"return\"", "f:1:3: hotkey[0].chord: is missing; write keys joined by '+', as \"ctrl+alt+shift+h\"" },
        { "[[hotkey]]|chord = \"f13\"", "f:1:3: hotkey[0].action: is missing; write \"return\" (give back to the host) or \"request\" (ask the host for devices)" },
        { "[[hotkey]]|chord = \"ctlr+h\"|action = \"return\"", "f:2:9: hotkey[0].chord: there is no key 'ctlr'; did you mean 'ctrl'?" },
        { "[[hotkey]]|chord = \"rightctrl rightctrl\"|action = \"return\"", "f:2:9: hotkey[0].chord: rightctrl rightctrl is a double tap, which only the host can hear; write keys held together, or where = \"host\"" },
        { "[[hotkey]]|where = \"host\"|chord = \"f13\"|action = \"return\"", "f:4:10: hotkey[0].action: 'return' is unknown; write one of \"give\", \"take\", \"toggle\"" },
        { "[[hotkey]]|where = \"host\"|chord = \"f13\"|action = \"give\"", "f:1:3: hotkey[0].targets: is needed with \"give\" and \"toggle\"; name the devices and sets to move" },
        { "[[hotkey]]|where = \"host\"|chord = \"f13\"|action = \"take\"|[[hotkey]]|where = \"host\"|chord = \"f13\"|action = \"take\"", "f:7:9: hotkey[1].chord: f13 has a meaning already on the host; choose another chord" },
        { "[machine.a]|[machine.b]|[device.k]|route = \"usb\"|port = \"1-4\"|[[hotkey]]|where = \"host\"|chord = \"f13\"|action = \"give\"|targets = [\"k\"]", "f:6:3: hotkey[0].machine: is needed, as there are 2 machines" },
        { "[[hotkey]]|chord = \"f13\"|action = \"request\"", "f:1:3: hotkey[0].targets: is needed with action = \"request\"; name the devices and sets to ask for" },
        { "[machine.m]|[device.a]|route = \"usb\"|port = \"1-4\"|[[hotkey]]|chord = \"f13\"|action = \"request\"|targets = [\"a\"]", "f:8:11: hotkey[0].targets: the guest of 'm' may not ask for 'a'; add it to guest.m.may_request" },
        { "[machine.m]|[[hotkey]]|chord = \"ctrl+h\"|action = \"return\"|[[hotkey]]|chord = \"h+ctrl\"|action = \"return\"", "f:6:9: hotkey[1].chord: ctrl+h has a meaning already in 'm'; choose another chord" },
        { "hotkey = 3", "f:1:10: hotkey: is a number; write a table for each hotkey ([[hotkey]])" },
        { "daemon = 1979-05-27", "f:1:10: daemon: is a date or time; write a table ([daemon])" },
        { "machine = { a = { cpus = 3 } }|[machine.a]|cpus = 2", "f:2:2: machine.a: is defined already in line 1; keep one of the two" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_is_told_with_place_key_and_remedy(string text, string expected) =>
        Assert.Equal([expected], Toml.Errors(text.Replace('|', '\n')));

    [Fact]
    public void All_mistakes_are_told_at_once_in_the_order_of_the_file()
    {
        var exception = Assert.Throws<ConfigurationException>(() => Toml.Parse("""
            [[hotkey]]
            chord = "h"
            action = "jump"
            [set.desk]
            devices = ["mouse"]
            [machine.win]
            memory = 3
            cpu = 2
            """));
        Assert.Equal([(2, 9), (3, 10), (5, 12), (7, 10), (8, 1)], exception.Errors.Select(error => (error.Line, error.Column)));
        Assert.Equal(string.Join('\n', exception.Errors), exception.Message);
    }

    [Fact]
    public void Text_that_is_no_TOML_is_told_with_its_place()
    {
        var errors = Toml.Errors("[machine.win]\nmemory = \ncpus = 3\n");
        Assert.StartsWith("f:2:10: ", errors[0], StringComparison.Ordinal);
        Assert.EndsWith("; correct the TOML here", errors[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_ends_inside_an_escape_is_refused() =>
        Assert.Equal(["f: The file ends inside a string; close the string's quotes."], Toml.Errors("a = \"b\\"));

    [Fact]
    public void Endless_nesting_is_an_error_and_not_a_crash() =>
        Assert.StartsWith("f: The file is no TOML that can be read: ", Toml.Errors("a = " + new string('[', 100_000)).Single(), StringComparison.Ordinal);

    [Fact]
    public void Any_text_is_read_or_refused_with_a_ConfigurationException()
    {
        string[] pieces =
        [
            "[machine.win]", "[[hotkey]]", "[device.a]", "[", "]", "=", "\n", "\n", "{", "}", "\"", "'", ".", ",", "a", "listen", "disks", "route",
            "chord", " = ", "\"usb\"", "1", "-", "true", "[[", "machine", "hotkey", "\\", "\0", "é", "#", "1979-05-27", "network", "\"\"",
        ];
        Gen.Int[0, pieces.Length - 1].Array[0, 30].Select(chosen => string.Concat(chosen.Select(i => pieces[i]))).Sample(text =>
        {
            try
            {
                return Toml.Parse(text) is not null;
            }
            catch (ConfigurationException e)
            {
                return !e.Errors.IsEmpty;
            }
        }, iter: 3000);
    }
}
