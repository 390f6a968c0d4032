using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>A PCI function of the host as sysfs shows it (Documentation/ABI/testing/sysfs-bus-pci).</summary>
/// <param name="Id">Vendor and device, written as lspci -n does.</param>
/// <param name="Class">Base class, subclass and programming interface, one byte each: 0x0c0330 is xHCI.</param>
/// <param name="Driver">The driver that is bound; null: none.</param>
/// <param name="IommuGroup">Null while the IOMMU is off.</param>
/// <param name="Bridges">The bridges above it, from the root down.</param>
public sealed record PciFunction(
    PciAddress Address, VidPid Id, uint Class, string? Driver, int? IommuGroup, ImmutableArray<PciAddress> Bridges)
{
    /// <summary>The driver that lends functions to QEMU.</summary>
    public const string Vfio = "vfio-pci";

    /// <summary>To PCI, CardBus or another host: has no DMA of its own, and need not leave its driver for its group to be lent.</summary>
    public bool IsBridge => Class >> 8 is 0x0604 or 0x0607 or 0x0609;

    public bool IsUsbController => Class >> 8 == 0x0c03;

    public bool IsDisplay => Class >> 16 == 0x03;

    /// <summary>Whether its group can be lent while it stays as it is (drivers/vfio: nothing but vfio and stubs may do DMA in the group).</summary>
    public bool AllowsLending => IsBridge || Driver is null or Vfio or "pci-stub";

    /// <summary>The kernel's own driver for USB controllers, told by the programming interface; null for all else.</summary>
    public string? UsualDriver => Class switch
    {
        0x0c0300 => "uhci_hcd",
        0x0c0310 => "ohci-pci",
        0x0c0320 => "ehci-pci",
        0x0c0330 => "xhci_hcd",
        _ => null,
    };

    /// <summary>For people: address, what it is, id and driver.</summary>
    public override string ToString() => $"{Address} ({Kind} {Id}, {(Driver is null ? "no driver" : $"driver {Driver}")})";

    private string Kind => (Class >> 8) switch
    {
        0x0c03 => "USB controller",
        0x0106 => "SATA controller",
        0x0108 => "NVMe drive",
        0x0107 or 0x0100 => "SCSI controller",
        0x0200 => "Ethernet controller",
        0x0280 => "wireless controller",
        0x0300 or 0x0302 or 0x0380 => "display controller",
        0x0401 or 0x0403 => "audio device",
        0x0600 => "host bridge",
        0x0601 => "ISA bridge",
        0x0604 => "PCI bridge",
        0x0c05 => "SMBus controller",
        _ => $"device of class {Class >> 8:x4}",
    };
}
