using System.Collections.Immutable;
using System.Net.NetworkInformation;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>A machine as configured. <see cref="ManagedMachine"/> is started by us, <see cref="ExternalMachine"/> by someone else.</summary>
public abstract record MachineOptions(MachineId Id)
{
    /// <summary>The devices that its guest may ask for, sets resolved. What it holds it may always give back.</summary>
    public ImmutableArray<DeviceId> MayRequest { get; init; } = [];

    /// <summary>How many USB controllers take devices, and how many ports each of them has.</summary>
    public abstract UsbTopology Usb { get; }

    /// <summary>QEMU's name for the bus that a guest port is on: the value of <c>bus=</c> in device_add, beside <c>port=</c>.</summary>
    public abstract string BusOf(GuestPort port);

    /// <summary>QEMU's names of the root ports that take PCI devices.</summary>
    public abstract ImmutableArray<string> RootPortBuses { get; }

    /// <summary>QEMU's name of the SCSI bus that takes optical drives; null when it has none.</summary>
    public abstract string? ScsiBus { get; }
}

/// <summary>Emulated USB: every controller has the same number of ports, for USB 2 and USB 3 alike.</summary>
public sealed record UsbTopology(int Controllers, int Ports)
{
    public const int MaxControllers = 8;

    /// <summary>The limit of QEMU's xHCI (hw/usb/hcd-xhci.h, XHCI_MAXPORTS_2).</summary>
    public const int MaxPorts = 15;

    public static UsbTopology Default { get; } = new(4, 8);
}

/// <summary>Someone else's QEMU (libvirt, a script): all switching works, starting and stopping is theirs.</summary>
/// <param name="QmpSocket">Absolute path of its QMP socket.</param>
/// <param name="UsbBuses">QEMU's bus names, one for each controller that takes devices, as <c>usb.0</c>.</param>
/// <param name="UsbPorts">Ports of each of them.</param>
public sealed record ExternalMachine(MachineId Id, string QmpSocket, ImmutableArray<string> UsbBuses, int UsbPorts) : MachineOptions(Id)
{
    public override UsbTopology Usb => new(UsbBuses.Length, UsbPorts);

    public override string BusOf(GuestPort port) => UsbBuses[port.Controller];

    public ImmutableArray<string> RootPorts { get; init; } = [];

    public override ImmutableArray<string> RootPortBuses => RootPorts;

    public string? Scsi { get; init; }

    public override string? ScsiBus => Scsi;
}

/// <summary>A machine that the daemon starts, stops and adopts. The defaults are those of the configuration.</summary>
public sealed record ManagedMachine(MachineId Id) : MachineOptions(Id)
{
    public int MemoryMiB { get; init; } = 4096;

    public int Cpus { get; init; } = 2;

    public FirmwareOptions Firmware { get; init; } = FirmwareOptions.Uefi.Default;

    public Accelerator Accelerator { get; init; } = Accelerator.Kvm;

    public RealTimeClock Clock { get; init; } = RealTimeClock.LocalTime;

    public ImmutableArray<DiskOptions> Disks { get; init; } = [];

    public NetworkOptions Network { get; init; } = new NetworkOptions.User(null);

    public UsbTopology UsbOptions { get; init; } = UsbTopology.Default;

    /// <summary>Empty root ports, for PCI devices that are plugged in later.</summary>
    public int RootPorts { get; init; } = 4;

    /// <summary>It has a SCSI controller, for optical drives.</summary>
    public bool TakesDrives { get; init; }

    /// <summary>Null: the firmware finds what to boot.</summary>
    public DirectKernel? Kernel { get; init; }

    /// <summary>A first serial port: a Unix socket, and a log of what the guest writes.</summary>
    public bool Serial { get; init; } = true;

    /// <summary>More serial ports, each a Unix socket of this name.</summary>
    public ImmutableArray<string> ExtraSerial { get; init; } = [];

    public MachineDisplay Display { get; init; } = MachineDisplay.None;

    /// <summary>Appended as they are.</summary>
    public ImmutableArray<string> ExtraArguments { get; init; } = [];

    /// <summary>How long the guest may take to shut down before QEMU is told to quit.</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(60);

    public RestartPolicy Restart { get; init; } = RestartPolicy.Never;

    public override UsbTopology Usb => UsbOptions;

    public override string BusOf(GuestPort port) => $"{UsbControllerId(port.Controller)}.0";

    public override ImmutableArray<string> RootPortBuses => [.. Enumerable.Range(0, RootPorts).Select(RootPortId)];

    public override string? ScsiBus => TakesDrives ? $"{ScsiControllerId}.0" : null;

    internal const string ScsiControllerId = "kvmswitch-scsi";

    internal static string UsbControllerId(int controller) => $"kvmswitch-usb{controller}";

    internal static string RootPortId(int port) => $"kvmswitch-port{port}";
}

/// <summary>What happens when QEMU ends by itself, without the guest having shut down.</summary>
public enum RestartPolicy
{
    Never,

    /// <summary>It is started again, after a pause and not for ever.</summary>
    OnCrash,
}

/// <summary>What runs the guest's code.</summary>
public enum Accelerator
{
    Kvm,

    /// <summary>Emulation: slow, works everywhere.</summary>
    Tcg,
}

/// <summary>What the guest's clock chip shows at start. Windows expects local time, Linux and others UTC.</summary>
public enum RealTimeClock
{
    LocalTime,
    Utc,
}

/// <summary>An emulated screen, for installing; a passed-through graphics card has its own.</summary>
public enum MachineDisplay
{
    None,

    /// <summary>VNC on a Unix socket.</summary>
    Vnc,
}

/// <summary>What the guest boots with.</summary>
public abstract record FirmwareOptions
{
    private FirmwareOptions()
    {
    }

    public sealed record Bios : FirmwareOptions;

    /// <summary>UEFI (OVMF). Null for both: the distribution's, see <see cref="FirmwareFiles.Find"/>.</summary>
    /// <param name="Code">Absolute path of the firmware itself; given together with <paramref name="Variables"/>.</param>
    /// <param name="Variables">Absolute path of the empty variable store that each machine gets a copy of.</param>
    public sealed record Uefi(string? Code, string? Variables) : FirmwareOptions
    {
        public static Uefi Default { get; } = new(null, null);
    }
}

public enum DiskFormat
{
    Raw,
    Qcow2,
}

/// <summary>A disk on virtio-blk.</summary>
/// <param name="File">Absolute path of an image or a block device.</param>
/// <param name="Cache">QEMU's word: none, writeback, writethrough, directsync, unsafe.</param>
public sealed record DiskOptions(string File, DiskFormat Format, string Cache, bool ReadOnly);

/// <summary>How the guest reaches the network.</summary>
public abstract record NetworkOptions
{
    private NetworkOptions()
    {
    }

    public sealed record None : NetworkOptions;

    /// <summary>QEMU's own NAT: needs no rights. The guest reaches the host's loopback as 10.0.2.2.</summary>
    /// <param name="Mac">Null: derived from the machine's identity.</param>
    public sealed record User(PhysicalAddress? Mac) : NetworkOptions;

    /// <summary>A TAP interface that exists already and that QEMU's user may open.</summary>
    public sealed record Tap(string Name, PhysicalAddress? Mac) : NetworkOptions;
}

/// <summary>A Linux kernel that QEMU loads itself.</summary>
/// <param name="CommandLine">Empty: none.</param>
public sealed record DirectKernel(string Kernel, string? Initrd, string CommandLine);
