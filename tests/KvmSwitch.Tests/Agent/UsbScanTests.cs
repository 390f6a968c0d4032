using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Linux;
using Xunit;

namespace KvmSwitch.Tests.Agent;

public sealed class UsbScanTests : IDisposable
{
    private const string Controller = "devices/pci0000:00/0000:00:04.0/usb1";

    private readonly TemporaryDirectory root = new();
    private readonly UsbScan scan;

    public UsbScanTests() => scan = new(new(root.At("sys"), root.At("input")));

    [Fact]
    public void A_keyboard_is_described_and_ready_when_its_input_node_is_there()
    {
        AddKeyboard("1-2.3", "1-2/1-2.3", number: 5);
        Write("sys/" + Controller + "/1-2/1-2.3/serial", "42\n");
        Assert.False(Only().Ready);
        AddNode("1-2/1-2.3/1-2.3:1.0", "event7");
        Assert.Equal(
            new AttachedDevice("1-2.3", 0x627, 1, "42", "0000:00:04.0", "2.3", Ready: true, "QEMU USB Keyboard", 5),
            Only());
    }

    [Fact]
    public void A_hid_device_whose_node_is_not_in_dev_yet_is_not_ready()
    {
        AddKeyboard("1-2", "1-2", number: 5);
        AddNode("1-2/1-2:1.0", "event7");
        File.Delete(root.At("input", "event7"));
        Assert.False(Only().Ready);
    }

    [Fact]
    public void A_disk_is_ready_with_its_driver()
    {
        AddDevice("1-4", "1-4", number: 6, deviceClass: "00");
        Write("sys/" + Controller + "/1-4/1-4:1.0/bInterfaceClass", "08\n");
        Assert.False(Only().Ready);
        Directory.CreateDirectory(root.At("sys", Controller, "1-4/1-4:1.0/driver"));
        Assert.True(Only().Ready);
    }

    [Fact]
    public void Hubs_and_root_hubs_and_interfaces_are_left_out()
    {
        AddDevice("1-1", "1-1", number: 2, deviceClass: "09");
        AddDevice("usb1", "", number: 1, deviceClass: "09");
        AddDevice("1-2:1.0", "1-2/1-2:1.0", number: 3, deviceClass: "00");
        Assert.Empty(scan.Take().Devices);
    }

    [Theory]
    [InlineData("idVendor", "")]
    [InlineData("idVendor", "0x0627")]
    [InlineData("idProduct", "123456789")]
    [InlineData("devnum", "-1")]
    [InlineData("devnum", "99999999999")]
    [InlineData("bDeviceClass", "zz")]
    public void A_device_with_a_bad_number_is_skipped_and_others_are_not(string attribute, string text)
    {
        AddKeyboard("1-2", "1-2", number: 5);
        AddKeyboard("1-3", "1-3", number: 6);
        Write($"sys/{Controller}/1-3/{attribute}", text);
        Assert.Equal("1-2", Only().Key);
    }

    [Fact]
    public void Hostile_text_is_bounded_and_without_control_characters()
    {
        AddKeyboard("1-2", "1-2", number: 5);
        Write($"sys/{Controller}/1-2/product", "\u001b[2Jevil\r\n" + new string('x', 100_000));
        File.WriteAllBytes(root.At("sys", Controller, "1-2/serial"), [0xff, 0xfe, (byte)'a']);
        var device = Only();
        Assert.StartsWith("[2Jevilxxx", device.Product, StringComparison.Ordinal);
        Assert.InRange(device.Product.Length, 1, 512);
        Assert.EndsWith("a", device.Serial, StringComparison.Ordinal);
        Assert.DoesNotContain(device.Product, char.IsControl);
    }

    [Fact]
    public void A_quick_replug_on_one_port_reads_as_gone_and_present()
    {
        AddKeyboard("1-2", "1-2", number: 5);
        var before = scan.Take();
        AddKeyboard("1-2", "1-2", number: 6);
        Write($"sys/{Controller}/1-2/product", "Another\n");
        Assert.Equal([(false, "QEMU USB Keyboard"), (true, "Another")], scan.Take().Since(before).Select(one => (one.Present, one.Device.Product)));
    }

    [Fact]
    public void Changes_are_the_difference_of_two_snapshots()
    {
        AddKeyboard("1-2", "1-2", number: 5);
        AddKeyboard("1-3", "1-3", number: 6);
        var before = scan.Take();
        Assert.Empty(scan.Take().Since(before));
        File.Delete(root.At("sys/bus/usb/devices/1-2"));
        AddNode("1-3/1-3:1.0", "event7");
        Assert.Equal([(false, "1-2", false), (true, "1-3", true)], scan.Take().Since(before).Select(one => (one.Present, one.Device.Key, one.Device.Ready)));
    }

    [Fact]
    public void A_system_without_usb_has_no_devices() => Assert.Empty(scan.Take().Devices);

    [Fact]
    public async Task A_feed_wakes_its_readers_only_for_a_change()
    {
        var feed = new DeviceFeed();
        var next = feed.NextAsync(feed.Current, CancellationToken.None);
        feed.Publish(new([]));
        Assert.False(next.IsCompleted);
        AddKeyboard("1-2", "1-2", number: 5);
        feed.Publish(scan.Take());
        Assert.Single((await next.WaitAsync(TimeSpan.FromSeconds(20))).Devices);
    }

    public void Dispose() => root.Dispose();

    private AttachedDevice Only() => Assert.Single(scan.Take().Devices);

    private void AddKeyboard(string name, string path, int number)
    {
        AddDevice(name, path, number, "00");
        Write($"sys/{Controller}/{path}/product", "QEMU USB Keyboard\n");
        Write($"sys/{Controller}/{path}/{name}:1.0/bInterfaceClass", "03\n");
        Directory.CreateDirectory(root.At("sys", Controller, path, $"{name}:1.0/driver"));
    }

    private void AddDevice(string name, string path, int number, string deviceClass)
    {
        var directory = $"sys/{Controller}/{path}";
        Write($"{directory}/devnum", $"{number}\n");
        Write($"{directory}/bDeviceClass", deviceClass + "\n");
        Write($"{directory}/idVendor", "0627\n");
        Write($"{directory}/idProduct", "0001\n");
        var link = root.At("sys/bus/usb/devices", name);
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        if (!Path.Exists(link))
            File.CreateSymbolicLink(link, root.At(directory));
    }

    private void AddNode(string usbInterface, string node)
    {
        Directory.CreateDirectory(root.At("sys", Controller, usbInterface, $"0003:0627:0001.0001/input/input3/{node}"));
        Write($"input/{node}", "");
    }

    private void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(root.At(path))!);
        File.WriteAllText(root.At(path), text);
    }
}
