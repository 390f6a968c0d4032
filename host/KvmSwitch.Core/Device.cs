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
/// <param name="Port">Its USB port in every guest, always the same, so that the guest knows it again. Meaningless on routes that need none.</param>
public sealed record Device(DeviceId Id, DeviceClass Class, DeviceRoute Route, GuestPort Port)
{
    /// <summary>Human name; empty when none was given.</summary>
    public string Label { get; init; } = "";

    /// <summary>The ports of its further parts, when it stands for everything behind a hub: part n has the n-th, counted from 1.</summary>
    public ImmutableArray<GuestPort> BranchPorts { get; init; } = [];

    /// <summary>Where its parts go in the guest on routes other than USB: root ports (controller), SCSI targets (optical).</summary>
    public ImmutableArray<int> Slots { get; init; } = [];

    /// <summary>QEMU never has more than one part of it.</summary>
    public bool IsOnePart => BranchPorts.IsEmpty && Route is not DeviceRoute.Controller { Functions.Length: > 1 };
}

/// <summary>The way a device travels.</summary>
public abstract record DeviceRoute
{
    private DeviceRoute()
    {
    }

    /// <summary>The word for this route in configuration, CLI and logs.</summary>
    public abstract string Word { get; }

    /// <summary>How the device is recognized, for people.</summary>
    public abstract string Detail { get; }

    /// <summary>QEMU has the device itself while its machine owns it. What the host merely relays comes home without asking QEMU.</summary>
    public virtual bool IsHeldByQemu => true;

    /// <summary>A USB device of the host, handed over by file descriptor (usb-host).</summary>
    public sealed record Usb(UsbMatch Match) : DeviceRoute
    {
        public override string Word => "usb";

        public override string Detail => Match.ToString();
    }

    /// <summary>PCI functions of the host, handed over whole by vfio-pci: a USB controller with all that is plugged into it.</summary>
    public sealed record Controller(ImmutableArray<PciAddress> Functions) : DeviceRoute
    {
        public override string Word => "controller";

        public override string Detail => string.Join(", ", Functions);

        public bool Equals(Controller? other) => other is not null && Functions.SequenceEqual(other.Functions);

        public override int GetHashCode() => Functions.Aggregate(0, HashCode.Combine);
    }

    /// <summary>Keys and movements of an input device, relayed while a machine has it; the device itself stays with the host.</summary>
    public sealed record Input(InputMatch Match) : DeviceRoute
    {
        public override string Word => "input";

        public override string Detail => Match.ToString();

        public override bool IsHeldByQemu => false;
    }

    /// <summary>An optical drive, handed over by SCSI passthrough while a disc is in.</summary>
    /// <param name="ById">Name of its link in /dev/disk/by-id.</param>
    /// <param name="Auto">The machine that gets it by itself when a disc is put in; null: none.</param>
    public sealed record Optical(string ById, MachineId? Auto) : DeviceRoute
    {
        public override string Word => "optical";

        public override string Detail => ById;
    }

    /// <summary>A device that QEMU emulates and that lives nowhere else: it is home when no machine has it.</summary>
    /// <param name="Driver">QEMU's name for it: usb-kbd, usb-mouse, usb-tablet.</param>
    public sealed record Virtual(string Driver) : DeviceRoute
    {
        public override string Word => "virtual";

        public override string Detail => Driver;
    }
}

/// <summary>How a USB device of the host is recognized.</summary>
public abstract record UsbMatch
{
    private UsbMatch()
    {
    }

    /// <summary>For people, as <c>port 1-4</c>.</summary>
    public abstract override string ToString();

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

    /// <summary>Everything at and behind this port: a keyboard with a hub and what is plugged into that moves as one.</summary>
    public sealed record Below(UsbPort Port) : UsbMatch
    {
        public override string ToString() => $"everything below port {Port}";
    }
}

/// <summary>How an input device of the host is recognized.</summary>
public abstract record InputMatch
{
    private InputMatch()
    {
    }

    /// <summary>For people, as <c>port 1-4</c>.</summary>
    public abstract override string ToString();

    /// <summary>Every input node of the USB device at this port.</summary>
    public sealed record ByPort(UsbPort Port) : InputMatch
    {
        public override string ToString() => $"port {Port}";
    }

    /// <summary>The node that this link in /dev/input/by-id or by-path names.</summary>
    public sealed record ByLink(string Link) : InputMatch
    {
        public override string ToString() => Link;
    }
}

/// <summary>Devices that move together.</summary>
public sealed record DeviceSet(SetId Id, ImmutableArray<DeviceId> Devices);
