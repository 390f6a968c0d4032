using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace KvmSwitch.Core;

/// <summary>How the host sees a device that no machine holds.</summary>
public enum HostSight
{
    /// <summary>Not plugged in.</summary>
    Absent,

    /// <summary>There, but no driver of the host serves it.</summary>
    Unserved,

    /// <summary>There and in use by the host: the device works here.</summary>
    Served,
}

/// <summary>
/// What QEMU is told to add: plain data that the host's side prepares and the machine's side sends. Owns the descriptor:
/// disposing it early matters, because an open node of a USB device keeps the host's driver off it.
/// </summary>
/// <param name="Driver">QEMU's device type, as <c>usb-host</c>.</param>
/// <param name="Properties">Beside id, bus and port, which the machine adds.</param>
/// <param name="Descriptor">Passed with add-fd, when the device travels by descriptor.</param>
/// <param name="Identity">How the guest will know the device.</param>
public sealed record Attachment(
    Device Device, string Driver, ImmutableDictionary<string, string> Properties, SafeHandle? Descriptor, GuestIdentity Identity) : IDisposable
{
    public void Dispose() => Descriptor?.Dispose();
}

/// <summary>How a guest's sighting is recognized as a device that was given: every value that is set must agree.</summary>
public sealed record GuestIdentity(VidPid? Id, string? Serial)
{
    public GuestBus Bus { get; init; } = GuestBus.Usb;
}

/// <summary>What a guest sees a device on.</summary>
public enum GuestBus
{
    Usb,
    Pci,
    Scsi,
}

/// <summary>The host's side of a route. Touches the kernel, never QMP.</summary>
public interface IHostSide
{
    /// <summary>Looks. Never throws for a device that isn't there.</summary>
    Task<HostSight> ObserveAsync(Device device, CancellationToken cancellationToken);

    /// <summary>Opens the device for handing over.</summary>
    /// <exception cref="SwitchException">It isn't there, is ambiguous, or may not be opened.</exception>
    Task<Attachment> PrepareAsync(Device device, CancellationToken cancellationToken);

    /// <summary>
    /// Returns once the device works on the host, mending what a dead QEMU left behind. Returns also for a device that was
    /// unplugged: then there is nothing to bring home.
    /// </summary>
    Task RestoreAsync(Device device, CancellationToken cancellationToken);
}

/// <summary>The machine's side of every route. Speaks QMP, never touches the kernel's devices.</summary>
public interface IMachineSide
{
    MachineId Id { get; }

    /// <summary>The devices of ours that QEMU holds now and that work; empty when it isn't running.</summary>
    /// <exception cref="SwitchException">QEMU runs but doesn't answer.</exception>
    Task<ImmutableHashSet<DeviceId>> ObserveAsync(CancellationToken cancellationToken);

    /// <summary>Returns once QEMU holds the device. On failure nothing of it stays in QEMU as far as QEMU answers.</summary>
    /// <exception cref="SwitchException">QEMU refused, or doesn't answer.</exception>
    Task AttachAsync(Attachment attachment, CancellationToken cancellationToken);

    /// <summary>Returns once the guest's agent has seen the device and it works there.</summary>
    Task ConfirmAsync(Device device, GuestIdentity identity, CancellationToken cancellationToken);

    /// <summary>Returns once QEMU holds the device no longer, also when it never did.</summary>
    /// <exception cref="SwitchException">QEMU refused, or doesn't answer.</exception>
    Task DetachAsync(Device device, CancellationToken cancellationToken);
}
