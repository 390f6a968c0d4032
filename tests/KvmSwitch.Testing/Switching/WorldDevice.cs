using System.Runtime.InteropServices;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Switching;

/// <summary>The truth about one device. Guarded by its world.</summary>
internal sealed class WorldDevice(Device device)
{
    public Device Device { get; } = device;

    public bool Plugged { get; set; } = true;

    /// <summary>A driver of the host is bound.</summary>
    public bool Served { get; set; } = true;

    public HashSet<MachineId> Holders { get; } = [];

    /// <summary>The machines whose QEMU still lists it although it was unplugged.</summary>
    public HashSet<MachineId> Stale { get; } = [];

    /// <summary>The machines that held it at the last save: the way back to them needs no other.</summary>
    public HashSet<MachineId> HeldAtSave { get; set; } = [];

    /// <summary>Descriptors that keep the host's driver off it.</summary>
    public int Open { get; set; }

    public long? NowhereSince { get; set; }

    /// <summary>It was noted that it is nowhere for too long.</summary>
    public bool Told { get; set; }

    /// <summary>A virtual device lives in QEMU alone, so the host has nothing to say against it.</summary>
    public HostSight Sight => !Plugged ? HostSight.Absent : Served || Device.Route is DeviceRoute.Virtual ? HostSight.Served : HostSight.Unserved;
}

/// <summary>Stands for the open node of a USB device.</summary>
internal sealed class WorldDescriptor : SafeHandle
{
    private readonly Action _closed;

    public WorldDescriptor(Action closed)
        : base(0, ownsHandle: true)
    {
        _closed = closed;
        SetHandle(1);
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        _closed();
        return true;
    }
}
