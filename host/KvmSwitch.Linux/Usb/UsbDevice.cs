using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>A USB device of the host as sysfs shows it (Documentation/ABI/stable/sysfs-bus-usb).</summary>
/// <param name="Serial">Empty where the device has none. Like all text of a device: without control characters, 126 characters at most.</param>
/// <param name="Bus">Number of the bus, as in the port.</param>
/// <param name="Address">Number on the bus; another one after each plugging in or reset.</param>
/// <param name="Controller">The controller that the bus belongs to; null where that is no PCI function.</param>
public sealed record UsbDevice(
    UsbPort Port, VidPid Id, string Serial, string Manufacturer, string Product, int Bus, int Address, bool IsHub, PciAddress? Controller,
    ImmutableArray<UsbInterface> Interfaces)
{
    /// <summary>Below the directory of device nodes.</summary>
    public string Node => $"bus/usb/{Bus:000}/{Address:000}";

    /// <summary>
    /// Served: no program holds an interface, and a driver is bound, or the device has no interface of a kind that the kernel
    /// drives itself (smart cards, vendor-specific): then being free is all that it can be.
    /// </summary>
    public HostSight Sight =>
        Interfaces.IsEmpty || Interfaces.Any(i => i.IsHeldByProgram) ? HostSight.Unserved
        : Interfaces.Any(i => i.Driver is not null) || !Interfaces.Any(i => i.WantsDriver) ? HostSight.Served
        : HostSight.Unserved;

    /// <summary>Nothing more is to be expected: every interface that wants a driver has one.</summary>
    public bool IsComplete => Sight == HostSight.Served && !Interfaces.Any(i => i.WantsDriver && i.Driver is null);

    /// <summary>For people: port, id and product.</summary>
    public override string ToString() => Product.Length > 0 ? $"port {Port} ({Id} {Product})" : $"port {Port} ({Id})";
}

/// <param name="Name">As <c>1-4:1.0</c>, which drivers_probe understands.</param>
/// <param name="Class">USB interface class: 1 audio, 3 hid, 8 storage, 9 hub, 255 vendor-specific.</param>
/// <param name="Driver">The driver that is bound; null: none.</param>
public sealed record UsbInterface(string Name, byte Class, string? Driver)
{
    /// <summary>A program has it by /dev/bus/usb: QEMU, or one of the host's own.</summary>
    public bool IsHeldByProgram => Driver == "usbfs";

    /// <summary>The kernel itself drives this class: audio, communications, hid, storage, hub, video, wireless.</summary>
    public bool WantsDriver => Class is 0x01 or 0x02 or 0x03 or 0x08 or 0x09 or 0x0e or 0xe0;
}
