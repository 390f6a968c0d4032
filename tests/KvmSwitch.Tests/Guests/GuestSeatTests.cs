using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Machines;
using Xunit;

namespace KvmSwitch.Tests.Guests;

public sealed class GuestSeatTests
{
    private static readonly ManagedMachine Managed = new(GuestHost.Win) { RootPorts = 16, TakesDrives = true, Firmware = new FirmwareOptions.Bios() };
    private static readonly ExternalMachine External = new(GuestHost.Win, "/run/win.sock", ["usb.0", "usb1.0"], 8) { RootPorts = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], Scsi = "scsi0.0" };

    private static readonly Device Board = new(
        DeviceId.Parse("board"), DeviceClass.Hid, new DeviceRoute.Usb(new UsbMatch.Below(UsbPort.Parse("1-4"))), new GuestPort(1, 3))
    {
        BranchPorts = [new(1, 4)],
    };

    private static readonly Device Ports = Board with
    {
        Route = new DeviceRoute.Controller([PciAddress.Parse("0000:00:1a.0"), PciAddress.Parse("0000:00:1a.2")]),
        Slots = [1, 9],
    };

    private static readonly Device Drive = Board with { Route = new DeviceRoute.Optical("ata-X", null), Slots = [2] };

    [Fact]
    public void Each_part_is_expected_where_it_was_put()
    {
        Assert.Equal(new(GuestBus.Usb, "0000:00:04.0", "3"), GuestSeat.Of(Managed, Board, 0).Place);
        Assert.Equal(new(GuestBus.Usb, "0000:00:04.0", "4"), GuestSeat.Of(Managed, Board, 1).Place);
        Assert.Equal(new(GuestBus.Pci, "0000:00:18.1", "00.0"), GuestSeat.Of(Managed, Ports, 0).Place);
        Assert.Equal(new(GuestBus.Pci, "0000:00:19.1", "00.0"), GuestSeat.Of(Managed, Ports, 1).Place);
        Assert.Equal(new(GuestBus.Scsi, QemuArguments.ScsiControllerAddress, "0:2:0"), GuestSeat.Of(Managed with { TakesDrives = true }, Drive, 0).Place);
    }

    [Fact]
    public void In_a_machine_of_someone_else_only_the_place_on_the_bus_is_known()
    {
        Assert.Equal(new(GuestBus.Usb, null, "3"), GuestSeat.Of(External, Board, 0).Place);
        Assert.Equal(new(GuestBus.Pci, null, "00.0"), GuestSeat.Of(External, Ports, 0).Place);
        Assert.Equal(new(GuestBus.Scsi, null, "0:2:0"), GuestSeat.Of(External, Drive, 0).Place);
    }

    [Fact]
    public void The_root_ports_of_our_machines_are_where_we_look_for_them()
    {
        var arguments = QemuArguments.Build(Managed, new("/r", "/s"), null, "");
        for (var index = 0; index < Managed.RootPorts; index++)
        {
            var place = QemuArguments.RootPortAddress(index)["0000:00:".Length..];
            var port = $"pcie-root-port,id={Managed.RootPortBuses[index]},bus=pcie.0,addr=0x{place},";
            Assert.Contains(arguments, argument => argument.StartsWith(port, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void A_part_too_many_is_an_error() => Assert.Throws<SwitchException>(() => GuestSeat.Of(Managed, Ports, 2).Place);
}
