namespace KvmSwitch.Agent.Devices;

/// <summary>A USB device as the guest's operating system sees it at one moment.</summary>
/// <param name="Key">Names the device from arrival to departure; on Linux the sysfs name, as <c>1-2.3</c>.</param>
/// <param name="VendorId">USB vendor id.</param>
/// <param name="ProductId">USB product id.</param>
/// <param name="Serial">USB serial number, empty where the device has none.</param>
/// <param name="Controller">PCI address of the USB controller, as <c>0000:00:04.0</c>; empty where unknown.</param>
/// <param name="Port">Port path below the controller, as <c>3</c> or <c>3.1</c>.</param>
/// <param name="Ready">The device can be used: a driver is bound and, for hid, its input node is there.</param>
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
    int Enumeration);

/// <summary>What happened to a device between two snapshots.</summary>
/// <param name="Present">Arrived or changed; otherwise it left.</param>
/// <param name="Device">As it is now, or as it was last seen.</param>
internal readonly record struct DeviceChange(bool Present, AttachedDevice Device);
