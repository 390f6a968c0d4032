using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Switching;

/// <summary>
/// One truth behind every edge of the Switcher: the host's devices, the machines' QEMUs, and the disk. Calls go wrong as told.
/// What must never happen is noted at once in <see cref="Violations"/>. Safe to use from any thread.
/// </summary>
public sealed class FakeWorld
{
    private readonly Lock _gate = new();
    private readonly ImmutableDictionary<DeviceId, WorldDevice> _devices;
    private readonly Dictionary<MachineId, bool> _running;
    private readonly List<string> _violations = [];
    private readonly List<Handoff> _history = [];
    private int _reportedFailures;
    private int _lateAttaches;
    private ImmutableDictionary<DeviceId, Desired> _saved = ImmutableDictionary<DeviceId, Desired>.Empty;

    public FakeWorld(TimeProvider clock, IEnumerable<Device> devices, IEnumerable<MachineId> machines)
    {
        Clock = clock;
        _devices = devices.ToImmutableDictionary(device => device.Id, device => new WorldDevice(device));
        _running = machines.ToDictionary(id => id, _ => true);
    }

    public TimeProvider Clock { get; }

    public WorldFaults Faults { get; } = new();

    /// <summary>For how long a device may be neither served by the host nor in a machine. Time of <see cref="Clock"/>.</summary>
    public TimeSpan NowhereBound { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>What happened that must not happen, in order; empty when all is well.</summary>
    public ImmutableArray<string> Violations => Locked(() =>
    {
        foreach (var device in _devices.Values) Judge(device);
        return _violations.ToImmutableArray();
    });

    /// <summary>What is on the disk.</summary>
    public ImmutableDictionary<DeviceId, Desired> Saved
    {
        get => Locked(() => _saved);
        set => Locked(() =>
        {
            foreach (var (id, device) in _devices)
            {
                if (_saved.GetValueOrDefault(id)?.Owner != value.GetValueOrDefault(id)?.Owner) device.HeldAtSave = [.. device.Holders];
            }

            _saved = value;
        });
    }

    /// <summary>The state file is damaged.</summary>
    public bool Unreadable { get; set; }

    public ImmutableArray<Handoff> History => Locked(() => _history.ToImmutableArray());

    /// <summary>Saves that failed while nobody waited for them.</summary>
    public int ReportedFailures => Locked(() => _reportedFailures);

    /// <summary>Devices that a machine took after the caller had given up.</summary>
    public int LateAttaches => Locked(() => _lateAttaches);

    /// <summary>Descriptors that were prepared and not disposed yet.</summary>
    public int OpenDescriptors => Locked(() => _devices.Values.Sum(device => device.Open));

    /// <summary>The machines that hold the device.</summary>
    public ImmutableHashSet<MachineId> HoldersOf(DeviceId id) => Locked(() => _devices[id].Holders.ToImmutableHashSet());

    /// <summary>The device works on the host, and no machine holds it or lists what is left of it.</summary>
    public bool IsHome(DeviceId id) => Locked(() => _devices[id].Holders.Count == 0 && _devices[id].Stale.Count == 0 && _devices[id].Sight == HostSight.Served);

    public bool IsRunning(MachineId id) => Locked(() => _running[id]);

    /// <summary>A new life of the daemon.</summary>
    public WorldProcess StartProcess() => new(this);

    public void Unplug(DeviceId id) => Change(id, device =>
    {
        device.Plugged = device.Served = false;
        device.Stale.UnionWith(device.Holders);
        device.Holders.Clear();
    });

    /// <summary>The host's driver serves it at once. Nothing happens when it is plugged in already.</summary>
    public void Plug(DeviceId id) => Change(id, device =>
    {
        if (device.Plugged) return;
        device.Plugged = device.Served = true;
    });

    /// <summary>No driver of the host serves it any longer.</summary>
    public void Unbind(DeviceId id) => Change(id, device => device.Served = false);

    /// <summary>Other hands than ours put it into a machine.</summary>
    public void PutInto(DeviceId id, MachineId machine) => Change(id, device =>
    {
        device.Served = false;
        device.Holders.Add(machine);
    });

    /// <summary>QEMU ends; the kernel doesn't bind a driver to what it held.</summary>
    public void Exit(MachineId machine) => Locked(() =>
    {
        _running[machine] = false;
        foreach (var device in _devices.Values)
        {
            device.Holders.Remove(machine);
            device.Stale.Remove(machine);
            Judge(device);
        }
    });

    public void Boot(MachineId machine) => Locked(() => _running[machine] = true);

    internal HostSight Sight(DeviceId id) => Locked(() => _devices[id].Sight);

    internal ImmutableDictionary<DeviceId, Holding> HeldBy(MachineId machine) => Locked(() => _devices.Values
        .Where(device => device.Holders.Contains(machine) || device.Stale.Contains(machine))
        .ToImmutableDictionary(device => device.Device.Id, device => new Holding(!device.Holders.Contains(machine))));

    internal Attachment Prepare(WorldProcess process, Device device) => Locked(() =>
    {
        var truth = _devices[device.Id];
        if (!truth.Plugged) throw Fail($"{device.Id} is not plugged in");
        var descriptor = device.Route is DeviceRoute.Usb ? process.Open(device.Id) : null;
        if (descriptor is not null) truth.Open++;
        return new Attachment(
            device, [new(0, "usb-host", ImmutableDictionary<string, string>.Empty, descriptor, new(null, device.Id.Value))]);
    });

    internal void Restore(DeviceId id) => Change(id, device =>
    {
        if (!device.Plugged || device.Served || device.Device.Route is DeviceRoute.Virtual) return;
        if (device.Holders.Count > 0) throw Fail($"{id} is not served by the host: {string.Join(", ", device.Holders)} has it");
        if (device.Open > 0) throw Fail($"{id} is not served by the host: its node is open");
        device.Served = true;
    });

    internal void Attach(Attachment attachment, MachineId machine, bool late) => Change(attachment.Device.Id, device =>
    {
        var id = device.Device.Id;
        if (!_running[machine]) throw Fail($"{machine} does not answer: its QEMU has ended");
        if (attachment.Parts.Any(part => part.Descriptor is { IsClosed: true })) _violations.Add($"{id} was attached with a descriptor that was closed");
        if (!device.Plugged) throw Fail($"{machine} refused {id}: no such device");

        // A late effect finds the world changed: QEMU can't claim what another holds.
        if (late && device.Holders.Any(holder => holder != machine)) throw Fail($"{machine} refused {id}: it is busy");
        var wanted = _saved.TryGetValue(id, out var desired) && desired.Owner == machine;
        if (!late && !wanted && !device.HeldAtSave.Contains(machine) && !device.Holders.Contains(machine))
            _violations.Add($"{id} was attached to {machine} before that was saved");
        device.Served = false;
        device.Holders.Add(machine);
        device.Stale.Remove(machine);
        if (late) _lateAttaches++;
        if (device.Holders.Count > 1) _violations.Add($"{id} is in {string.Join(" and ", device.Holders)} at once");
    });

    internal void Detach(DeviceId id, MachineId machine) => Change(id, device =>
    {
        device.Holders.Remove(machine);
        device.Stale.Remove(machine);
    });

    internal void CheckSeen(DeviceId id, MachineId machine) => Locked(() =>
    {
        if (!_devices[id].Holders.Contains(machine)) throw Fail($"{machine} has not seen {id}");
    });

    internal void Record(Handoff handoff) => Locked(() => _history.Add(handoff));

    internal void ReportFailure() => Locked(() => _reportedFailures++);

    internal void CloseOne(DeviceId id) => Locked(() => _devices[id].Open--);

    internal T Locked<T>(Func<T> act)
    {
        lock (_gate) return act();
    }

    internal void Locked(Action act)
    {
        lock (_gate) act();
    }

    internal static SwitchException Fail(string message) => new(Failure.Failed, message);

    private void Change(DeviceId id, Action<WorldDevice> change) => Locked(() =>
    {
        var device = _devices[id];
        Judge(device);
        change(device);
        Judge(device);
    });

    private void Judge(WorldDevice device)
    {
        var nowhere = device is { Plugged: true, Holders.Count: 0, Sight: not HostSight.Served };
        if (!nowhere) device.NowhereSince = null;
        else if (device.NowhereSince is not { } since) device.NowhereSince = Clock.GetTimestamp();
        else if (Clock.GetElapsedTime(since) > NowhereBound && !device.Told)
        {
            device.Told = true;
            _violations.Add($"{device.Device.Id} has been nowhere for longer than {NowhereBound.TotalSeconds:0.#} s");
        }
    }
}
