using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Linux;

public sealed class UsbInventoryTests : IDisposable
{
    private static readonly VidPid Keyboard = VidPid.Parse("046d:c31c");
    private readonly SysfsTree _tree = new();

    private UsbInventory Inventory => new(_tree.Paths);

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void A_device_is_read_with_all_that_names_it()
    {
        _tree.Add("1-4.2", "046d:c31c", "K123", "Keyboard K120", SysfsTree.Hid, SysfsTree.VendorSpecific);

        var device = Assert.Single(Inventory.All());

        Assert.Equal(("1-4.2", Keyboard, "K123", "Keyboard K120"), (device.Port.Value, device.Id, device.Serial, device.Product));
        Assert.Equal(("bus/usb/001/002", false, PciAddress.Parse("0000:00:14.0")), (device.Node, device.IsHub, device.Controller));
        Assert.Equal([new("1-4.2:1.0", 3, "usbhid"), new UsbInterface("1-4.2:1.1", 255, null)], device.Interfaces);
    }

    [Fact]
    public void A_computer_without_usb_has_no_devices() =>
        Assert.Empty(new UsbInventory(new KernelPaths("/nowhere/sys", "/nowhere/dev", "/nowhere/run")).All());

    [Theory]
    [InlineData("idVendor", "xyz")]
    [InlineData("idProduct", "")]
    [InlineData("devnum", "-1")]
    [InlineData("busnum", "99999999999999")]
    public void A_device_whose_numbers_make_no_sense_is_left_out(string attribute, string value)
    {
        _tree.Add("1-1", "046d:c31c");
        _tree.Add("1-2", "046d:c31c");
        _tree.SetAttribute("1-1", attribute, value);

        Assert.Equal("1-2", Assert.Single(Inventory.All()).Port.Value);
    }

    [Fact]
    public void Text_of_a_device_can_neither_steer_a_terminal_nor_flood_a_log()
    {
        _tree.Add("1-1", "046d:c31c");
        _tree.SetAttribute("1-1", "product", "a\e[31m\nb\u202ec" + new string('x', 5000));

        Assert.Equal("a[31mbc" + new string('x', 119), Inventory.All()[0].Product);
    }

    [Fact]
    public void Found_by_port_by_serial_and_by_id()
    {
        _tree.Add("1-1", "046d:c31c", "A");
        _tree.Add("1-2", "0951:1666", "B");

        Assert.Equal("1-2", Inventory.Find(new UsbMatch.ByPort(UsbPort.Parse("1-2")), "x").Port.Value);
        Assert.Equal("1-2", Inventory.Find(new UsbMatch.BySerial("B", null), "x").Port.Value);
        Assert.Equal("1-1", Inventory.Find(new UsbMatch.ById(Keyboard), "x").Port.Value);
    }

    [Fact]
    public void An_absent_device_is_refused_with_where_it_was_looked_for()
    {
        _tree.Add("1-1", "046d:c31c", "A");

        Refused("keyboard isn't plugged in: nothing at port 1-4", new UsbMatch.ByPort(UsbPort.Parse("1-4")));
        Refused("keyboard isn't plugged in: no device with id 0951:1666", new UsbMatch.ById(VidPid.Parse("0951:1666")));
        Refused("keyboard isn't plugged in: no device with serial A of 0951:1666", new UsbMatch.BySerial("A", VidPid.Parse("0951:1666")));
    }

    [Fact]
    public void Two_that_fit_are_refused_with_both_ports()
    {
        _tree.Add("1-1", "046d:c31c", product: "K120");
        _tree.Add("1-2", "046d:c31c");

        Refused(
            "keyboard is ambiguous: id 046d:c31c fits port 1-1 (046d:c31c K120) and port 1-2 (046d:c31c); match it by its port",
            new UsbMatch.ById(Keyboard));
    }

    [Fact]
    public void Whether_a_match_fits_what_is_plugged_in_somewhere_is_told_as_by_looking_everywhere()
    {
        _tree.Add("1-1", "046d:c31c", "A");
        _tree.Add("1-2", "0951:1666", "B");
        _tree.AddHub("1-4");
        _tree.Add("1-4.1", "046d:c31c");
        var ports = new[] { "1-1", "1-2", "1-3", "1-4", "1-4.1" }.Select(UsbPort.Parse).ToArray();
        UsbMatch[] matches =
        [
            new UsbMatch.ByPort(ports[0]), new UsbMatch.ByPort(ports[2]), new UsbMatch.ByPort(ports[3]), new UsbMatch.BySerial("B", null),
            new UsbMatch.BySerial("B", Keyboard), new UsbMatch.ById(Keyboard), new UsbMatch.Below(ports[3]),
        ];

        Assert.All(matches, match => Assert.Equal(
            Inventory.Matching(match).Select(device => device.Port), ports.Where(port => Inventory.Fits(match, port))));
        Assert.Equal(["1-1", "1-4.1"], ports.Where(port => Inventory.Fits(new UsbMatch.ById(Keyboard), port)).Select(port => port.Value));
    }

    [Fact]
    public void A_hub_is_refused()
    {
        _tree.AddHub("1-4");

        Refused(
            "keyboard is a hub, at port 1-4 (1d6b:0002 Hub), and hubs can't be handed over: name a device behind it, or all of them with below = \"1-4\"",
            new UsbMatch.ByPort(UsbPort.Parse("1-4")));
    }

    private void Refused(string message, UsbMatch match)
    {
        var error = Assert.Throws<SwitchException>(() => Inventory.Find(match, "keyboard"));

        Assert.Equal((Failure.Refused, message), (error.Failure, error.Message));
    }
}
