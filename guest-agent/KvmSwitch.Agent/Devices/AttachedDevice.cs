namespace KvmSwitch.Agent.Devices;

/// <summary>What a device is attached to.</summary>
internal enum DeviceBus
{
    Usb,

    /// <summary>A PCI function below a root port or another bridge: one that may have been plugged in.</summary>
    Pci,

    /// <summary>An optical drive on SCSI.</summary>
    Scsi,
}

/// <summary>A device as the guest's operating system sees it at one moment.</summary>
/// <param name="Key">Names the device from arrival to departure; on Linux the sysfs name, as <c>1-2.3</c>, <c>0000:03:00.0</c> or <c>2:0:1:0</c>.</param>
/// <param name="VendorId">USB or PCI vendor id; 0 on SCSI.</param>
/// <param name="ProductId">USB product id or PCI device id; 0 on SCSI.</param>
/// <param name="Serial">USB serial number or SCSI unit serial number, empty where the device tells none.</param>
/// <param name="Controller">PCI address of the USB or SCSI controller, or of the bridge above the PCI function, as <c>0000:00:04.0</c>; empty where unknown.</param>
/// <param name="Port">Port path below the USB controller (<c>3</c> or <c>3.1</c>), PCI slot and function (<c>00.0</c>), or SCSI channel, target and logical unit (<c>0:1:0</c>).</param>
/// <param name="Ready">The device can be used: on USB a driver is bound and, for hid, its input node is there; on PCI a driver is bound and a USB host controller has its root hub; on SCSI its node is there.</param>
/// <param name="Product">What the device calls itself, for people.</param>
/// <param name="Enumeration">Differs between two stays under one key, so that a quick replug is noticed.</param>
internal sealed record AttachedDevice(
    string Key,
    ushort VendorId,
    ushort ProductId,
    string Serial,
    string Controller,
    string Port,
    bool Ready,
    string Product,
    int Enumeration)
{
    public DeviceBus Bus { get; init; } = DeviceBus.Usb;

    /// <summary>PCI class code, as 0x0c0330 for xHCI; 0 on other buses.</summary>
    public uint PciClass { get; init; }
}

/// <summary>What happened to a device between two snapshots.</summary>
/// <param name="Present">Arrived or changed; otherwise it left.</param>
/// <param name="Device">As it is now, or as it was last seen.</param>
internal readonly record struct DeviceChange(bool Present, AttachedDevice Device);
