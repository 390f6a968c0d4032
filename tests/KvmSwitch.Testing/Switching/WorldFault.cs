using KvmSwitch.Core;

namespace KvmSwitch.Testing.Switching;

/// <summary>The calls that cross an edge of the Switcher.</summary>
public enum WorldCall
{
    ObserveHost,
    Prepare,
    Restore,
    ObserveMachine,
    Attach,
    Confirm,
    Detach,
    Save,
}

/// <summary>One call of an edge.</summary>
/// <param name="Number">Counts the calls of one daemon process, from 1.</param>
/// <param name="Device">Null for a save, and for a look into a machine.</param>
/// <param name="Machine">Null for a save, and on the host's side.</param>
public sealed record WorldCalled(int Number, WorldCall Call, DeviceId? Device, MachineId? Machine);

/// <summary>What goes wrong with one call.</summary>
public abstract record WorldFault
{
    private WorldFault()
    {
    }

    /// <summary>Fails, and nothing happened.</summary>
    public sealed record FailBefore : WorldFault;

    /// <summary>Happens, and fails nevertheless.</summary>
    public sealed record FailAfter : WorldFault;

    /// <summary>Nothing happens until the caller gives up.</summary>
    public sealed record Hang : WorldFault;

    /// <summary>Happens, and then no answer comes until the caller gives up.</summary>
    public sealed record HangAfter : WorldFault;

    /// <summary>Happens after this time; gives up when the caller does.</summary>
    public sealed record Slow(TimeSpan For) : WorldFault;

    /// <summary>Happens when the task completes; gives up when the caller does.</summary>
    public sealed record SlowUntil(Task Released) : WorldFault;

    /// <summary>Happens after this time, whatever the caller does: a late effect.</summary>
    public sealed record Late(TimeSpan After) : WorldFault;

    /// <summary>Happens when the task completes, whatever the caller does: a late effect.</summary>
    public sealed record LateUntil(Task Released) : WorldFault;

    /// <summary>The machine's QEMU dies in the middle of it.</summary>
    public sealed record Dies(MachineId Machine) : WorldFault;

    /// <summary>Fails with an exception that is none of ours, at once.</summary>
    public sealed record Throws(Exception Exception) : WorldFault;
}
