using KvmSwitch.Core;

namespace KvmSwitch.Testing.Switching;

/// <summary>Which call goes wrong how: first what was scripted for the next such call, then what lasts, then what chance says.</summary>
public sealed class WorldFaults
{
    private readonly Lock _gate = new();
    private readonly List<Script> _scripts = [];
    private int _hits;

    /// <summary>Asked for each call that no script names; null for no faults. Called under a lock.</summary>
    public Func<WorldCalled, WorldFault?>? Chance { get; set; }

    /// <summary>The next such call goes wrong.</summary>
    /// <param name="skip">How many such calls go well before.</param>
    public void Next(WorldCall call, WorldFault fault, DeviceId? device = null, MachineId? machine = null, int skip = 0)
    {
        lock (_gate) _scripts.Add(new(call, device, machine, fault) { Skip = skip, Once = true });
    }

    /// <summary>Every such call goes wrong.</summary>
    public void Always(WorldCall call, WorldFault fault, DeviceId? device = null, MachineId? machine = null)
    {
        lock (_gate) _scripts.Add(new(call, device, machine, fault));
    }

    /// <summary>From now on nothing goes wrong.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _scripts.Clear();
            Chance = null;
        }
    }

    /// <summary>How many calls went wrong as scripted.</summary>
    public int Hits
    {
        get
        {
            lock (_gate) return _hits;
        }
    }

    internal WorldFault? Of(WorldCalled called)
    {
        lock (_gate)
        {
            if (_scripts.Find(script => script.Fits(called)) is not { } found) return Chance?.Invoke(called);
            if (found.Skip-- > 0) return null;
            _hits++;
            if (found.Once) _scripts.Remove(found);
            return found.Fault;
        }
    }

    private sealed record Script(WorldCall Call, DeviceId? Device, MachineId? Machine, WorldFault Fault)
    {
        public int Skip { get; set; }

        public bool Once { get; init; }

        public bool Fits(WorldCalled called) => called.Call == Call &&
            (Device is null || Device == called.Device) && (Machine is null || Machine == called.Machine);
    }
}
