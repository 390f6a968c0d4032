using KvmSwitch.Agent.Windows.Devices;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>Device instance ids and location paths, as Windows writes them.</summary>
public sealed class InstanceIdTests
{
    [Theory]
    [InlineData(@"USB\VID_04FE&PID_0021\7&1A2B3C4D&0&3", 0x04fe, 0x0021, "")]
    [InlineData(@"USB\VID_0627&PID_0001\42", 0x0627, 0x0001, "42")]
    [InlineData(@"USB\VID_0951&PID_1666\60A44C413A8CF320B9110053", 0x0951, 0x1666, "60A44C413A8CF320B9110053")]
    [InlineData(@"usb\vid_046d&pid_c31c&rev_6402\6&2d0ac2e1&0&1", 0x046d, 0xc31c, "")]
    [InlineData(@"USB\VID_1D6B&PID_0104\5&9F&0&10", 0x1d6b, 0x0104, "")]
    public void A_usb_device_tells_its_id_and_its_serial_if_it_has_one(string text, int vendor, int product, string serial)
    {
        var id = InstanceId.TryParse(text)!.Value;
        Assert.Equal(((ushort)vendor, (ushort)product), id.Usb);
        Assert.Equal(serial, id.Serial);
    }

    [Theory]
    [InlineData(@"USB\VID_04FE&PID_0021&MI_00\8&2AF37C54&0&0000")]
    [InlineData(@"USB\ROOT_HUB30\5&2BBDC3F2&0&0")]
    [InlineData(@"USB\VID_04F&PID_0021\1")]
    [InlineData(@"USB\VID_04FG&PID_0021\1")]
    [InlineData(@"USB\UNKNOWN\5&1&0&1")]
    [InlineData(@"USBSTOR\DISK&VEN_KINGSTON&PROD_DATATRAVELER&REV_PMAP\60A44C413A8C&0")]
    [InlineData(@"HID\VID_046D&PID_C31C&MI_00\8&1F3B&0&0000")]
    [InlineData(@"SWD\PRINTENUM\{0}")]
    public void What_is_no_whole_usb_device_is_none(string text) => Assert.Null(InstanceId.TryParse(text)!.Value.Usb);

    [Theory]
    [InlineData("")]
    [InlineData("USB")]
    [InlineData(@"USB\VID_04FE&PID_0021")]
    [InlineData(@"USB\\1")]
    [InlineData(@"\VID_04FE\1")]
    [InlineData(@"USB\A\B\C")]
    public void Garbage_is_no_id(string text) => Assert.Null(InstanceId.TryParse(text));

    [Fact]
    public void A_pci_function_tells_its_id() =>
        Assert.Equal(((ushort)0x8086, (ushort)0x7ae0), InstanceId.TryParse(@"PCI\VEN_8086&DEV_7AE0&SUBSYS_72708086&REV_11\3&11583659&0&A0")!.Value.Pci);

    [Theory]
    [InlineData(@"SCSI\CdRom&Ven_QEMU&Prod_QEMU_CD-ROM\4&35E86DC9&0&000100", true)]
    [InlineData(@"SCSI\CDROM\4&1", true)]
    [InlineData(@"SCSI\Disk&Ven_QEMU&Prod_QEMU_HARDDISK\4&35E86DC9&0&000000", false)]
    [InlineData(@"SCSI\CDROMX&VEN\1", false)]
    public void An_optical_drive_is_told_from_a_disk(string text, bool expected) => Assert.Equal(expected, InstanceId.TryParse(text)!.Value.IsOptical);

    [Theory]
    [InlineData("PCIROOT(0)#PCI(0400)#USBROOT(0)#USB(3)", "0:(4, 0)", "3")]
    [InlineData("PCIROOT(0)#PCI(1D07)#USBROOT(0)#USB(1)#USB(4)#USB(2)", "0:(29, 7)", "1.4.2")]
    [InlineData("PCIROOT(0)#PCI(1C04)#PCI(0000)#USBROOT(0)#USB(12)", "0:(28, 4)#(0, 0)", "12")]
    [InlineData("PCIROOT(80)#PCI(0100)", "128:(1, 0)", "")]
    [InlineData("PCIROOT(0)#PCI(0400)#USBROOT(0)#USB(3)#USBMI(0)", "0:(4, 0)", "3")]
    [InlineData("PCIROOT(0)#PCI(0500)#SCSI(P00T01L00)", "0:(5, 0)", "")]
    public void A_location_path_tells_controller_and_ports(string text, string controller, string ports)
    {
        var path = LocationPath.TryParse(text)!;
        Assert.Equal(controller, path.Key);
        Assert.Equal(ports, string.Join('.', path.Ports));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ACPI(_SB_)#ACPI(PCI0)#ACPI(S20_)#ACPI(RHUB)#ACPI(PRT3)")]
    [InlineData("PCIROOT(x)#PCI(0400)")]
    [InlineData("PCIROOT(0")]
    public void A_path_in_other_words_is_passed_over(string text) => Assert.Null(LocationPath.TryParse(text));

    [Fact]
    public void A_path_without_end_is_refused() => Assert.Null(LocationPath.TryParse("PCIROOT(0)" + string.Concat(Enumerable.Repeat("#PCI(0000)", 5000))));
}
