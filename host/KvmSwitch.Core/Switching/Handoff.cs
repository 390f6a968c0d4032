using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What set a handoff off. The words appear in the history.</summary>
public static class Gesture
{
    public const string Cli = "cli";
    public const string Hotkey = "hotkey";
    public const string Lease = "lease";
    public const string TimeLimit = "time-limit";
    public const string GuestReset = "guest-reset";
    public const string GuestShutdown = "guest-shutdown";
    public const string GuestPanic = "guest-panic";
    public const string MachineExit = "machine-exit";
    public const string Reconcile = "reconcile";

    /// <summary>A device that was unplugged while a machine owned it is there again.</summary>
    public const string Replug = "replug";

    /// <summary>Somebody unplugged and replugged it in quick succession.</summary>
    public const string Rescue = "rescue";

    /// <summary>A disc was put into a drive.</summary>
    public const string Disc = "disc";
}

/// <summary>A wish: these devices to that owner.</summary>
public sealed record HandoffRequest(ImmutableArray<DeviceId> Devices, Owner To, string Gesture)
{
    /// <summary>The handoff ends by itself after this; it then needs no live agent.</summary>
    public TimeSpan? TimeLimit { get; init; }

    /// <summary>Overrides what speaks against it on the host: a mounted file system, the last keyboard.</summary>
    public bool Force { get; init; }

    /// <summary>The user who asked, when it came over the Unix socket; -1 otherwise.</summary>
    public long Uid { get; init; } = -1;
}

/// <summary>How a handoff ended.</summary>
public enum Outcome
{
    /// <summary>Every device arrived, and the other side saw it.</summary>
    Done,

    /// <summary>Every device was there already.</summary>
    Unchanged,

    /// <summary>It failed; all devices are back where they were, or at home.</summary>
    RolledBack,

    /// <summary>As <see cref="RolledBack"/>, because a step took too long.</summary>
    TimedOut,

    /// <summary>As <see cref="RolledBack"/>, because something on the host speaks against it: the device is absent, mounted, in use.</summary>
    Refused,

    /// <summary>A device is not where it should be; reconciling goes on.</summary>
    Failed,
}

/// <summary>One measured step of a handoff. <paramref name="Start"/> counts from the handoff's beginning.</summary>
/// <param name="Error">One sentence; null when the step succeeded.</param>
public sealed record HandoffStep(string Name, DeviceId Device, TimeSpan Start, TimeSpan Duration, string? Error);

/// <summary>A finished handoff, as the history keeps it.</summary>
/// <param name="From">Who had each device, in the order of <paramref name="Devices"/>.</param>
public sealed record Handoff(
    string Id,
    string Gesture,
    long Uid,
    ImmutableArray<DeviceId> Devices,
    ImmutableArray<Owner> From,
    Owner To,
    Outcome Outcome,
    string? Error,
    DateTimeOffset Started,
    TimeSpan Duration,
    ImmutableArray<HandoffStep> Steps);
