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

/// <summary>What one look at the host showed of a device.</summary>
/// <param name="LentTo">
/// The machine that the host's side itself has lent it to: the input relay knows what QEMU doesn't. Null on all other routes.
/// </param>
/// <param name="IsPartial">Of a device of several parts, the host serves some while a program holds others: a part came back, or newly arrived.</param>
public readonly record struct HostView(HostSight Sight, MachineId? LentTo = null, bool IsPartial = false)
{
    public static implicit operator HostView(HostSight sight) => new(sight);
}

/// <summary>The QEMU process that a device is prepared for.</summary>
/// <param name="ProcessId">Of QEMU, on this host.</param>
/// <param name="UserId">QEMU runs as this user; so does everything that it must open itself.</param>
/// <param name="GroupId">And as this group.</param>
/// <param name="MemoryBytes">The guest's memory, as QEMU tells it.</param>
public sealed record Recipient(MachineId Machine, int ProcessId, uint UserId, uint GroupId, long MemoryBytes);

/// <summary>What QEMU is told to add: plain data that the host's side prepares and the machine's side sends.</summary>
public sealed record Attachment(Device Device, ImmutableArray<AttachmentPart> Parts) : IDisposable
{
    /// <summary>QEMU was seen not to list any part, so it need not be asked once more whether an earlier attempt left one behind.</summary>
    public bool IsUnlisted { get; init; }

    /// <summary>
    /// Lets QEMU's user open what QEMU opens by its name, also once more: udev sets who may open a node that is new. Null where there is
    /// nothing to let.
    /// </summary>
    public Action? Admit { get; init; }

    public void Dispose()
    {
        foreach (var part in Parts) part.Dispose();
    }
}

/// <summary>
/// One thing that QEMU adds. Owns the descriptor: disposing it early matters, because an open node of a USB device keeps the host's
/// driver off it.
/// </summary>
/// <param name="Slot">Its place among the device's places in the guest, from 0; always the same for the same part.</param>
/// <param name="Driver">QEMU's device type, as <c>usb-host</c>.</param>
/// <param name="Properties">Beside id, bus and port, which the machine adds.</param>
/// <param name="Descriptor">Passed with add-fd, when the device travels by descriptor.</param>
/// <param name="Identity">How the guest will know it.</param>
public sealed record AttachmentPart(
    int Slot, string Driver, ImmutableDictionary<string, string> Properties, SafeHandle? Descriptor, GuestIdentity Identity) : IDisposable
{
    /// <summary>A second descriptor, which QEMU only holds: as long as it does, nobody else gets the device. Null where none is needed.</summary>
    public SafeHandle? Claim { get; init; }

    /// <summary>QEMU's number of the set that the descriptor has to be in (add-fd), where it matters.</summary>
    public int? FdSet { get; init; }

    public void Dispose()
    {
        Descriptor?.Dispose();
        Claim?.Dispose();
    }
}

/// <summary>How a guest's sighting is recognized as a part that was given: every value that is set must agree.</summary>
public sealed record GuestIdentity(VidPid? Id, string? Serial);

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
    Task<HostView> ObserveAsync(Device device, CancellationToken cancellationToken);

    /// <summary>Makes the device ready to be taken by this QEMU, and opens it where it travels by descriptor.</summary>
    /// <param name="force">The user said that what speaks against it (a mounted file system, the last keyboard) shall not.</param>
    /// <exception cref="SwitchException">It isn't there, is ambiguous, is in use, or may not be opened.</exception>
    Task<Attachment> PrepareAsync(Device device, Recipient to, bool force, CancellationToken cancellationToken);

    /// <summary>QEMU has it: whatever the host still has to do so that only the guest uses it.</summary>
    Task LendAsync(Device device, MachineId to, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>QEMU will be asked to let go: whatever the host can take back without it. Returns at once when it isn't lent.</summary>
    Task RecallAsync(Device device, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>QEMU doesn't let go: takes the device away from under it, where the kernel can do that.</summary>
    /// <returns>False where it can't.</returns>
    Task<bool> WrestAsync(Device device, CancellationToken cancellationToken) => Task.FromResult(false);

    /// <summary>
    /// Returns once the device works on the host, mending what a dead QEMU left behind. Returns also for a device that was
    /// unplugged: then there is nothing to bring home.
    /// </summary>
    Task RestoreAsync(Device device, CancellationToken cancellationToken);
}

/// <summary>What a machine has of a device.</summary>
/// <param name="IsStale">QEMU still lists it, but the physical device has left it: it was unplugged.</param>
public readonly record struct Holding(bool IsStale);

/// <summary>The machine's side of every route. Speaks QMP, never touches the kernel's devices.</summary>
public interface IMachineSide
{
    MachineId Id { get; }

    /// <summary>The devices of ours that QEMU lists; empty when it isn't running.</summary>
    /// <exception cref="SwitchException">QEMU runs but doesn't answer.</exception>
    Task<ImmutableDictionary<DeviceId, Holding>> ObserveAsync(CancellationToken cancellationToken);

    /// <summary>The process that a device would be prepared for.</summary>
    /// <exception cref="SwitchException">QEMU isn't running, or doesn't answer.</exception>
    Task<Recipient> IdentifyAsync(CancellationToken cancellationToken);

    /// <summary>Returns once QEMU holds all parts. On failure nothing of them stays in QEMU as far as QEMU answers.</summary>
    /// <exception cref="SwitchException">QEMU refused, or doesn't answer.</exception>
    Task AttachAsync(Attachment attachment, CancellationToken cancellationToken);

    /// <summary>
    /// Asks the guest to let go of storage before it is detached: while somebody there uses it, taking it away would lose data. Returns at
    /// once where nobody can be asked.
    /// </summary>
    /// <exception cref="SwitchException">The guest keeps it, or does not answer in time; the message says why.</exception>
    Task EjectAsync(Device device, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Whether the guest's agent, live as it is, can see a device of this kind arrive.</summary>
    bool CanConfirm(Device device);

    /// <summary>Returns once the guest's agent has seen every part and it works there.</summary>
    /// <param name="identities">Of each part, by its slot.</param>
    Task ConfirmAsync(Device device, ImmutableDictionary<int, GuestIdentity> identities, CancellationToken cancellationToken);

    /// <summary>Returns once QEMU holds the device no longer, also when it never did.</summary>
    /// <exception cref="SwitchException">QEMU refused, or doesn't answer.</exception>
    Task DetachAsync(Device device, CancellationToken cancellationToken);
}
