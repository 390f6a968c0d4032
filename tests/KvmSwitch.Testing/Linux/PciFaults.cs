using System.Collections.Concurrent;

namespace KvmSwitch.Testing.Linux;

/// <summary>What goes wrong with one write to a driver's files.</summary>
public enum PciFault
{
    None,

    /// <summary>Hangs, holding the device's lock, until let go; then has its effect.</summary>
    Hangs,

    /// <summary>Has its effect, and then hangs until let go.</summary>
    HangsAfter,

    /// <summary>EACCES, and no effect.</summary>
    Denied,

    /// <summary>EINVAL, and no effect: the driver's probe failed.</summary>
    Refused,

    /// <summary>The function is unplugged instead.</summary>
    Vanishes,
}

/// <summary>One write to a driver's files.</summary>
/// <param name="File">drivers_probe, driver_override, bind or unbind.</param>
/// <param name="Text">What was written, without its newline.</param>
public sealed record PciWrite(string File, string Function, string? Driver, string Text);

/// <summary>Chooses the fault of each write, and lets go what hangs.</summary>
public sealed class PciFaults
{
    private readonly ConcurrentBag<ManualResetEventSlim> _hanging = [];
    private volatile bool _letGo;

    /// <summary>Asked at each write.</summary>
    public Func<PciWrite, PciFault> Choose { get; set; } = _ => PciFault.None;

    /// <summary>All writes so far, in order.</summary>
    public ConcurrentQueue<PciWrite> Writes { get; } = new();

    /// <summary>How many hang now.</summary>
    public int Hanging => _hanging.Count(gate => !gate.IsSet);

    /// <summary>Everything that hangs goes on, and nothing hangs any more.</summary>
    public void LetGo()
    {
        _letGo = true;
        foreach (var gate in _hanging) gate.Set();
    }

    internal void Hang()
    {
        var gate = new ManualResetEventSlim();
        _hanging.Add(gate);
        if (_letGo) gate.Set();
        gate.Wait();
    }
}
