using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What a device is for. It decides what a lease that runs out does: storage is not pulled from a guest that still runs.</summary>
public enum DeviceClass
{
    Other,
    Hid,
    Audio,
    Storage,
}

/// <summary>A thing that the user named and can switch.</summary>
/// <param name="Port">Its port in every guest, always the same, so that the guest knows it again.</param>
public sealed record Device(DeviceId Id, DeviceClass Class, DeviceRoute Route, GuestPort Port)
{
    /// <summary>Human name; empty when none was given.</summary>
    public string Label { get; init; } = "";
}

/// <summary>The way a device travels.</summary>
public abstract record DeviceRoute
{
    private DeviceRoute()
    {
    }

    /// <summary>The word for this route in configuration, CLI and logs.</summary>
    public abstract string Word { get; }

    /// <summary>A USB device of the host, handed over by file descriptor (usb-host).</summary>
    public sealed record Usb(UsbMatch Match) : DeviceRoute
    {
        public override string Word => "usb";
    }

    /// <summary>A device that QEMU emulates and that lives nowhere else: it is home when no machine has it.</summary>
    /// <param name="Driver">QEMU's name for it: usb-kbd, usb-mouse, usb-tablet.</param>
    public sealed record Virtual(string Driver) : DeviceRoute
    {
        public override string Word => "virtual";
    }
}

/// <summary>How a USB device of the host is recognized.</summary>
public abstract record UsbMatch
{
    private UsbMatch()
    {
    }

    public sealed record ByPort(UsbPort Port) : UsbMatch
    {
        public override string ToString() => $"port {Port}";
    }

    public sealed record BySerial(string Serial, VidPid? Id) : UsbMatch
    {
        public override string ToString() => Id is { } id ? $"serial {Serial} of {id}" : $"serial {Serial}";
    }

    public sealed record ById(VidPid Id) : UsbMatch
    {
        public override string ToString() => $"id {Id}";
    }
}

/// <summary>Devices that move together.</summary>
public sealed record DeviceSet(SetId Id, ImmutableArray<DeviceId> Devices);
