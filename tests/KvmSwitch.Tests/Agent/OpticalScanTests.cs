using System.Text;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Linux;
using Xunit;

namespace KvmSwitch.Tests.Agent;

public sealed class OpticalScanTests : IDisposable
{
    private const string Scsi = "devices/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:1/2:0:1:0";

    private readonly TemporaryDirectory root = new();
    private readonly OpticalScan scan;

    public OpticalScanTests() => scan = new(new(root.At("sys"), root.At("dev/input"), root.At("dev")));

    [Fact]
    public void A_drive_is_ready_when_its_node_is_there_disc_or_not()
    {
        Add(Scsi, "sr0");
        var expected = new AttachedDevice(
            "2:0:1:0", 0, 0, "K13H2", "0000:00:05.0", "0:1:0", Ready: false, "HL-DT-ST BD-RE BH16NS55", 0) { Bus = DeviceBus.Scsi };
        Assert.Equal(expected, Only() with { Enumeration = 0 });
        Directory.CreateDirectory(root.At("dev"));
        File.WriteAllText(root.At("dev/sr0"), "");
        Assert.Equal(expected with { Ready = true }, Only() with { Enumeration = 0 });
    }

    [Theory]
    [InlineData("devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host3/target3:0:0/3:0:0:0", "sr0")]
    [InlineData(Scsi, "sda")]
    [InlineData(Scsi, "sr0p1")]
    [InlineData("devices/virtual", "sr0")]
    public void Drives_on_usb_and_what_is_no_optical_drive_are_left_out(string path, string node)
    {
        Add(path, node);
        Assert.Empty(scan.Take());
    }

    [Fact]
    public void The_nearest_controller_is_named_and_none_where_there_is_none()
    {
        Add("devices/pci0000:00/0000:00:18.0/0000:02:00.0/virtio4/host7/target7:0:12/7:0:12:3", "sr1");
        Assert.Equal(("0000:02:00.0", "0:12:3"), (Only().Controller, Only().Port));
        File.Delete(root.At("sys/class/block/sr1"));
        Add("devices/pseudo_0/adapter0/host8/target8:0:0/8:0:0:0", "sr2");
        Assert.Equal("", Only().Controller);
    }

    public static TheoryData<string, byte[], string> Pages() => new()
    {
        { "as it should be", Page("K13H2", 5), "K13H2" },
        { "padded", Page("  K13H2\0 ", 9), "K13H2" },
        { "empty", Page("", 0), "" },
        { "more bytes than it says", Page("K13H2tail", 5), "K13H2" },
        { "fewer bytes than it says", Page("K13H2", 6), "" },
        { "as long as may be", Page(new('x', 128), 128), new('x', 128) },
        { "too long", Page(new('x', 129), 129), "" },
        { "another page", [5, 0x83, 0, 1, (byte)'x'], "" },
        { "cut in the header", [5, 0x80, 0], "" },
        { "nothing", [], "" },
        { "control characters", Page("\u001b[2J\r\nK", 7), "[2JK" },
        { "no ASCII", [5, 0x80, 0, 3, 0xff, 0xc3, (byte)'a'], "??a" },
    };

    [Theory]
    [MemberData(nameof(Pages))]
    public void The_serial_number_is_what_the_page_tells_or_nothing(string what, byte[] page, string expected)
    {
        Add(Scsi, "sr0", page);
        Assert.True(Only().Serial == expected, $"{what}: {Only().Serial}");
    }

    [Fact]
    public void Hostile_names_are_bounded_and_without_control_characters()
    {
        Add(Scsi, "sr0", []);
        File.WriteAllText(root.At("sys", Scsi, "model"), "\u001b]0;evil\a" + new string('x', 100_000));
        var product = Only().Product;
        Assert.InRange(product.Length, 1, 1025);
        Assert.DoesNotContain(product, char.IsControl);
    }

    [Fact]
    public void Another_drive_at_the_same_address_reads_as_gone_and_present()
    {
        Add(Scsi, "sr0");
        var before = new DeviceSnapshot(scan.Take());
        Assert.Empty(new DeviceSnapshot(scan.Take()).Since(before));
        Directory.Move(root.At("sys", Scsi), root.At("gone"));
        File.Delete(root.At("sys/class/block/sr0"));
        Add(Scsi, "sr0", Page("OTHER", 5));
        Assert.Equal(
            [(false, "K13H2"), (true, "OTHER")],
            new DeviceSnapshot(scan.Take()).Since(before).Select(one => (one.Present, one.Device.Serial)));
    }

    [Fact]
    public void A_system_without_drives_has_none() => Assert.Empty(scan.Take());

    public void Dispose() => root.Dispose();

    private static byte[] Page(string serial, byte length) => [5, 0x80, 0, length, .. Encoding.ASCII.GetBytes(serial)];

    private AttachedDevice Only() => Assert.Single(scan.Take());

    private void Add(string path, string node, byte[]? page = null)
    {
        var device = root.At("sys", path);
        var block = Path.Combine(device, "block", node);
        Directory.CreateDirectory(block);
        File.CreateSymbolicLink(Path.Combine(block, "device"), "../../");
        File.WriteAllText(Path.Combine(device, "vendor"), "HL-DT-ST\n");
        File.WriteAllText(Path.Combine(device, "model"), "BD-RE BH16NS55  \n");
        File.WriteAllBytes(Path.Combine(device, "vpd_pg80"), page ?? Page("K13H2", 5));
        var link = root.At("sys/class/block", node);
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.CreateSymbolicLink(link, block);
    }
}
