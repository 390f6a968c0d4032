namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>A device node of Windows, as SetupAPI shows it (learn.microsoft.com/windows-hardware/drivers/install/device-properties).</summary>
/// <param name="Id">Device instance id: <c>USB\VID_046D&amp;PID_C31C\7&amp;1A2B3C&amp;0&amp;3</c>.</param>
internal sealed record DeviceNode(string Id)
{
    /// <summary>Id of the node above; empty at the root.</summary>
    public string Parent { get; init; } = "";

    /// <summary>DEVPKEY_Device_LocationPaths: <c>PCIROOT(0)#PCI(0400)#USBROOT(0)#USB(3)</c> and the same in words of ACPI.</summary>
    public IReadOnlyList<string> LocationPaths { get; init; } = [];

    /// <summary>What the bus's driver says of the place, as <c>Bus Number 0, Target Id 1, LUN 0</c>.</summary>
    public string LocationInformation { get; init; } = "";

    public IReadOnlyList<string> HardwareIds { get; init; } = [];

    public IReadOnlyList<string> CompatibleIds { get; init; } = [];

    /// <summary>The driver's service, as <c>HidUsb</c>; empty where no driver is bound.</summary>
    public string Service { get; init; } = "";

    /// <summary>The bus's number of the bus that it is on; null where unknown.</summary>
    public uint? BusNumber { get; init; }

    /// <summary>The driver has started it, and it has no problem.</summary>
    public bool IsStarted { get; init; }

    /// <summary>When it arrived, in the system's own unit: another value is another stay.</summary>
    public long Arrival { get; init; }

    /// <summary>What the device calls itself, else what Windows calls it.</summary>
    public string Name { get; init; } = "";
}
