using KvmSwitch.Agent.Devices;

namespace KvmSwitch.Agent.Linux;

/// <summary>All devices of this system that a host may have plugged in.</summary>
internal sealed class DeviceScan(LinuxPaths paths)
{
    private readonly UsbScan usb = new(paths);
    private readonly PciScan pci = new(paths);
    private readonly OpticalScan optical = new(paths);

    public DeviceSnapshot Take() => new([.. usb.Take().Devices, .. pci.Take(), .. optical.Take()]);
}
