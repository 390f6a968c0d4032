using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Linux;
using Xunit;

namespace KvmSwitch.Tests.Agent;

public sealed class PciScanTests : IDisposable
{
    private const string RootPort = "devices/pci0000:00/0000:00:18.1";
    private const string Xhci = "0x0c0330";

    private readonly TemporaryDirectory root = new();
    private readonly PciScan scan;

    public PciScanTests() => scan = new(new(root.At("sys"), root.At("dev/input"), root.At("dev")));

    [Fact]
    public void A_usb_controller_below_a_root_port_is_ready_with_its_driver_and_root_hub()
    {
        var function = Add($"{RootPort}/0000:03:00.0", Xhci);
        var expected = new AttachedDevice("0000:03:00.0", 0x8086, 0x7ae0, "", "0000:00:18.1", "00.0", Ready: false, "PCI class 0c0330", 0)
        {
            Bus = DeviceBus.Pci,
            PciClass = 0x0c0330,
        };
        Assert.Equal(expected, Only() with { Enumeration = 0 });
        Directory.CreateDirectory(Path.Combine(function, "driver"));
        Assert.False(Only().Ready);
        Directory.CreateDirectory(Path.Combine(function, "usb3"));
        Assert.Equal(expected with { Ready = true }, Only() with { Enumeration = 0 });
    }

    [Theory]
    [InlineData("0x088000")]
    [InlineData("0x0c03fe")]
    [InlineData("0x0c0340")]
    [InlineData("0x020000")]
    public void Another_function_is_ready_with_its_driver(string kind)
    {
        var function = Add($"{RootPort}/0000:03:00.1", kind);
        Assert.False(Only().Ready);
        Directory.CreateDirectory(Path.Combine(function, "driver"));
        Assert.True(Only().Ready);
        Assert.Equal("00.1", Only().Port);
    }

    [Theory]
    [InlineData("devices/pci0000:00/0000:00:14.0", Xhci)]
    [InlineData("devices/pci0000:00/0000:00:0e.0/pci10000:00/10000:00:1d.0", Xhci)]
    [InlineData(RootPort + "/0000:03:00.0", "0x060400")]
    public void What_is_fixed_and_what_is_a_bridge_is_left_out(string path, string kind)
    {
        Add(path, kind);
        Assert.Empty(scan.Take());
    }

    [Fact]
    public void Behind_a_second_bridge_the_nearer_one_is_named_and_domains_may_be_long()
    {
        Add("devices/pci10000:e0/10000:e0:06.0/10000:e1:00.0/10000:e2:1f.7", Xhci);
        Assert.Equal(("10000:e2:1f.7", "10000:e1:00.0", "1f.7"), (Only().Key, Only().Controller, Only().Port));
    }

    [Fact]
    public void A_virtual_function_is_left_out()
    {
        var function = Add($"{RootPort}/0000:03:10.0", "0x020000");
        Directory.CreateDirectory(Path.Combine(function, "physfn"));
        Assert.Empty(scan.Take());
    }

    [Theory]
    [InlineData("vendor", "")]
    [InlineData("vendor", "8086")]
    [InlineData("vendor", "0x18086")]
    [InlineData("device", "0x")]
    [InlineData("device", "0xfffffffff")]
    [InlineData("class", "0x1000000")]
    [InlineData("class", "0x-1")]
    [InlineData("class", "\u001b[2J")]
    public void A_function_with_a_bad_number_is_skipped_and_others_are_not(string attribute, string text)
    {
        Add($"{RootPort}/0000:03:00.0", Xhci);
        File.WriteAllText(Path.Combine(Add($"{RootPort}/0000:03:00.1", Xhci), attribute), text);
        Assert.Equal("0000:03:00.0", Only().Key);
    }

    [Theory]
    [InlineData("0000:03:00.8")]
    [InlineData("../../etc")]
    [InlineData("0000:03:00.0x")]
    public void A_name_that_is_no_address_is_skipped(string name)
    {
        var directory = Add($"{RootPort}/0000:03:00.0", Xhci);
        File.Delete(root.At("sys/bus/pci/devices/0000:03:00.0"));
        File.CreateSymbolicLink(root.At("sys/bus/pci/devices", name.Replace('/', '_')), directory);
        Assert.Empty(scan.Take());
    }

    [Fact]
    public void Another_stay_under_the_same_address_reads_as_gone_and_present()
    {
        Add($"{RootPort}/0000:03:00.0", Xhci);
        var before = new DeviceSnapshot(scan.Take());
        Assert.Empty(new DeviceSnapshot(scan.Take()).Since(before));
        // Out of the way, not deleted, so that the file system can't use its inode again.
        Directory.Move(root.At("sys", RootPort, "0000:03:00.0"), root.At("gone"));
        Add($"{RootPort}/0000:03:00.0", "0x0c0320");
        Assert.Equal(
            [(false, 0x0c0330u), (true, 0x0c0320u)],
            new DeviceSnapshot(scan.Take()).Since(before).Select(one => (one.Present, one.Device.PciClass)));
    }

    [Fact]
    public void A_link_to_nowhere_and_a_system_without_pci_are_no_devices()
    {
        Assert.Empty(scan.Take());
        Add($"{RootPort}/0000:03:00.0", Xhci);
        Directory.Delete(root.At("sys", RootPort), recursive: true);
        Assert.Empty(scan.Take());
    }

    public void Dispose() => root.Dispose();

    private AttachedDevice Only() => Assert.Single(scan.Take());

    private string Add(string path, string kind)
    {
        var directory = root.At("sys", path);
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "vendor"), "0x8086\n");
        File.WriteAllText(Path.Combine(directory, "device"), "0x7ae0\n");
        File.WriteAllText(Path.Combine(directory, "class"), kind + "\n");
        var link = root.At("sys/bus/pci/devices", Path.GetFileName(path));
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        if (!Path.Exists(link))
            File.CreateSymbolicLink(link, directory);
        return directory;
    }
}
