using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Windows.Devices;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>From the nodes of Windows to the devices that a host is told of.</summary>
public sealed class NodeTreeTests
{
    private const string XhciId = @"PCI\VEN_1B36&DEV_000D&SUBSYS_11001AF4&REV_01\3&11583659&0&20";
    private const string KeyboardId = @"USB\VID_0627&PID_0001\42";
    private const string CompositeId = @"USB\VID_04FE&PID_0021\7&1A2B3C4D&0&3";

    private static readonly DeviceNode Xhci = new(XhciId)
    {
        LocationPaths = ["PCIROOT(0)#PCI(0400)", "ACPI(_SB_)#ACPI(PCI0)#ACPI(S20_)"],
        BusNumber = 0,
        IsStarted = true,
        HardwareIds = [@"PCI\VEN_1B36&DEV_000D&SUBSYS_11001AF4&REV_01", @"PCI\VEN_1B36&DEV_000D&CC_0C0330", @"PCI\VEN_1B36&DEV_000D&CC_0C03"],
    };

    private static readonly DeviceNode Hub = new(@"USB\VID_0409&PID_55AA\314159-0000:00:04.0-1")
    {
        LocationPaths = ["PCIROOT(0)#PCI(0400)#USBROOT(0)#USB(1)"], IsStarted = true, Service = "USBHUB3",
    };

    private static readonly DeviceNode Keyboard = new(KeyboardId)
    {
        LocationPaths = ["PCIROOT(0)#PCI(0400)#USBROOT(0)#USB(1)#USB(2)"], IsStarted = true, Service = "HidUsb", Name = "QEMU USB Keyboard", Arrival = 1,
    };

    private static readonly DeviceNode Keys = new(@"HID\VID_0627&PID_0001\8&1&0&0000") { Parent = KeyboardId.ToLowerInvariant(), IsStarted = true };

    [Fact]
    public void A_keyboard_behind_a_hub_is_told_with_its_place_and_the_hub_is_not()
    {
        var device = Assert.Single(Of(Xhci, Hub, Keyboard, Keys));
        Assert.Equal(
            new AttachedDevice(KeyboardId, 0x0627, 1, "42", "0000:00:04.0", "1.2", Ready: true, "QEMU USB Keyboard", Keyboard.Arrival.GetHashCode()), device);
    }

    [Fact]
    public void A_keyboard_is_ready_once_its_human_interface_is()
    {
        Assert.False(Assert.Single(Of(Keyboard)).Ready);
        Assert.False(Assert.Single(Of(Keyboard, Keys with { IsStarted = false })).Ready);
        Assert.False(Assert.Single(Of(Keyboard with { IsStarted = false }, Keys)).Ready);
    }

    [Fact]
    public void A_composite_device_is_one_and_ready_by_its_interfaces()
    {
        DeviceNode[] nodes =
        [
            new(CompositeId) { IsStarted = true, Service = "usbccgp" },
            new(@"USB\VID_04FE&PID_0021&MI_00\8&2AF&0&0000") { Parent = CompositeId, IsStarted = true, Service = "HidUsb" },
            new(@"USB\VID_04FE&PID_0021&MI_01\8&2AF&0&0001") { Parent = CompositeId, IsStarted = true, Service = "usbaudio" },
        ];
        var device = Assert.Single(Of(nodes));
        Assert.Equal(("", "", "", false), (device.Serial, device.Controller, device.Port, device.Ready));
        Assert.True(Assert.Single(Of([.. nodes, new(@"HID\VID_04FE&PID_0021&MI_00\9&1&0&0000") { Parent = nodes[1].Id, IsStarted = true }])).Ready);
    }

    [Fact]
    public void Storage_is_ready_when_its_driver_runs() =>
        Assert.True(Assert.Single(Of(new DeviceNode(@"USB\VID_0951&PID_1666\60A44C413A8C") { IsStarted = true, Service = "USBSTOR" })).Ready);

    [Fact]
    public void Another_arrival_is_another_stay()
    {
        var again = new NodeTree([Keyboard with { Arrival = 2 }, Keys]).Devices();
        Assert.Equal([false, true], again.Since(new NodeTree([Keyboard, Keys]).Devices()).Select(change => change.Present));
    }

    [Fact]
    public void A_controller_below_a_root_port_is_told_with_its_port_and_ready_with_its_root_hub()
    {
        var port = new DeviceNode(@"PCI\VEN_1B36&DEV_000C\3&11583659&0&F1") { LocationPaths = ["PCIROOT(0)#PCI(1E01)"], BusNumber = 0, HardwareIds = [@"PCI\VEN_1B36&DEV_000C&CC_060400"] };
        var controller = Xhci with { Id = @"PCI\VEN_8086&DEV_7AE0\4&1&0&00F1", LocationPaths = ["PCIROOT(0)#PCI(1E01)#PCI(0000)"], BusNumber = 3 };
        var device = Assert.Single(Of(port, controller));
        Assert.Equal(
            (DeviceBus.Pci, 0x8086, 0x7ae0, "0000:00:1e.1", "00.0", 0x0c0330u, false),
            (device.Bus, device.VendorId, device.ProductId, device.Controller, device.Port, device.PciClass, device.Ready));
        var hub = new DeviceNode(@"USB\ROOT_HUB30\5&2BBDC3F2&0&0") { Parent = controller.Id, IsStarted = true };
        Assert.True(Assert.Single(Of(port, controller, hub)).Ready);

        // What is plugged into it is placed by the number that the bus told.
        var mouse = Keyboard with { LocationPaths = ["PCIROOT(0)#PCI(1E01)#PCI(0000)#USBROOT(0)#USB(2)"] };
        Assert.Contains(Of(port, controller, hub, mouse, Keys), one => one is { Controller: "0000:03:00.0", Port: "2", Bus: DeviceBus.Usb });
    }

    [Fact]
    public void Functions_of_the_root_bus_are_fixed_and_not_told() => Assert.Empty(Of(Xhci));

    [Theory]
    [InlineData("Bus Number 0, Target Id 1, LUN 0", "PCIROOT(0)#PCI(0500)")]
    [InlineData("", "PCIROOT(0)#PCI(0500)#SCSI(P00T01L00)")]
    public void An_optical_drive_is_told_with_its_target(string words, string path)
    {
        var controller = new DeviceNode(@"PCI\VEN_1AF4&DEV_1004\3&1") { LocationPaths = ["PCIROOT(0)#PCI(0500)"], BusNumber = 0 };
        var drive = new DeviceNode(@"SCSI\CdRom&Ven_QEMU&Prod_QEMU_CD-ROM\4&35E86DC9&0&000100")
        {
            Parent = controller.Id, LocationInformation = words, LocationPaths = [path], IsStarted = true, Name = "QEMU QEMU CD-ROM SCSI CdRom Device",
        };
        var device = Assert.Single(Of(controller, drive));
        Assert.Equal((DeviceBus.Scsi, "0000:00:05.0", "0:1:0", true), (device.Bus, device.Controller, device.Port, device.Ready));
    }

    [Fact]
    public void Nodes_that_nobody_can_read_are_passed_over() => Assert.Empty(Of(
        new(""), new("USB"), new(@"USB\VID_\1"), new(@"PCI\VEN_8086\1"), new(@"SCSI\CDROM\1") { LocationInformation = "Bus Number 99999, Target Id 1, LUN 0" },
        new(@"ROOT\SYSTEM\0000"), new(@"\\\")));

    [Fact]
    public void A_key_is_never_longer_than_a_host_takes() =>
        Assert.Equal(128, Assert.Single(Of(new DeviceNode(@"USB\VID_0951&PID_1666\" + new string('A', 300)))).Key.Length);

    [Fact]
    public void A_ring_of_parents_ends()
    {
        var (one, other) = (new DeviceNode(@"HID\A\1") { Parent = @"HID\B\1" }, new DeviceNode(@"HID\B\1") { Parent = @"HID\A\1" });
        Assert.Single(Of(Keyboard with { Parent = KeyboardId }, one, other));
    }

    private static IReadOnlyCollection<AttachedDevice> Of(params DeviceNode[] nodes) => new NodeTree(nodes).Devices().Devices;
}
