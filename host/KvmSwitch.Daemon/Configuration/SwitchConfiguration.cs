using System.Collections.Immutable;
using System.Net;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>The whole configuration, checked: every name in it is known, every value in its range.</summary>
/// <param name="Machines">In the order of the file, as are devices, sets and hotkeys.</param>
public sealed record SwitchConfiguration(
    DaemonOptions Daemon,
    LeaseOptions Lease,
    ImmutableArray<MachineOptions> Machines,
    ImmutableArray<Device> Devices,
    ImmutableArray<DeviceSet> Sets,
    ImmutableArray<GuestHotkey> Hotkeys)
{
    /// <summary>Hotkeys that the daemon itself hears.</summary>
    public ImmutableArray<HostHotkey> HostHotkeys { get; init; } = [];

    /// <summary>The devices that a name means: of a set its members, of a device itself; empty for an unknown name.</summary>
    public ImmutableArray<DeviceId> Resolve(string target) =>
        Sets.FirstOrDefault(set => set.Id.Value == target) is { } found
            ? found.Devices
            : [.. Devices.Where(device => device.Id.Value == target).Select(device => device.Id)];
}

/// <summary>How the daemon itself runs.</summary>
/// <param name="Listen">Where guests connect; empty: no guest link. Never a wildcard.</param>
/// <param name="Advertise">What a pairing code tells the guest, <c>address:port</c>.</param>
/// <param name="Qemu">Absolute path of QEMU; null: <c>qemu-system-x86_64</c> is looked up in PATH when it is needed.</param>
/// <param name="QemuUser">Runs QEMU when the daemon is root.</param>
public sealed record DaemonOptions(ImmutableArray<IPEndPoint> Listen, ImmutableArray<string> Advertise, string? Qemu, string QemuUser)
{
    public static DaemonOptions Default { get; } = new([], [], null, "kvmswitch-qemu");

    /// <summary>Plugging a device in twice within this time brings it home; zero: it doesn't.</summary>
    public TimeSpan RescueWithin { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Directory with what is put on a guest's disc; absolute. It may be absent until a disc is asked for.</summary>
    public string GuestTools { get; init; } = "/usr/share/kvmswitch/guest-tools";
}

/// <summary>The lease by which a guest holds devices.</summary>
/// <param name="Heartbeat">The guest's agent reports at least this often.</param>
/// <param name="Timeout">After this much silence devices come home; more than twice the heartbeat.</param>
/// <param name="ReconnectGrace">After the daemon's own start, how long agents may take to connect again.</param>
public sealed record LeaseOptions(TimeSpan Heartbeat, TimeSpan Timeout, TimeSpan ReconnectGrace)
{
    public static LeaseOptions Default { get; } = new(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(5));
}

/// <summary>What a hotkey in the guest asks for.</summary>
public enum HotkeyAction
{
    /// <summary>Give back to the host.</summary>
    Return,

    /// <summary>Ask the host for devices.</summary>
    Request,
}

/// <summary>A hotkey that the agent in a guest watches for.</summary>
/// <param name="Targets">Names of devices and sets; empty with <see cref="HotkeyAction.Return"/>: all that the guest holds.</param>
/// <param name="Machines">The guests that it is for, named in full also when the configuration left it out (all).</param>
public sealed record GuestHotkey(Chord Chord, HotkeyAction Action, ImmutableArray<string> Targets, ImmutableArray<MachineId> Machines);

/// <summary>What a hotkey on the host does.</summary>
public enum HostHotkeyAction
{
    Give,
    Take,
    Toggle,
}

/// <summary>A hotkey that the daemon hears from the host's keyboards.</summary>
/// <param name="Targets">Names of devices and sets; empty with <see cref="HostHotkeyAction.Take"/>: everything.</param>
/// <param name="Machine">The machine's name; empty with one machine, or where none is needed.</param>
public sealed record HostHotkey(Chord Chord, HostHotkeyAction Action, ImmutableArray<string> Targets, string Machine);
