using System.Collections.Immutable;
using KvmSwitch.Core;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

/// <summary>
/// The host's side of the route <c>optical</c>: finds the drive, sees to its disc, unmounts it, and opens it for QEMU twice. One
/// descriptor carries a claim of the drive, which lives exactly as long as QEMU has it: meanwhile the host can neither mount the
/// disc nor burn, and the drive can't be given a second time under any name. The other, the drive's node of the driver sg, takes
/// the guest's commands: unlike the first it may be opened for writing whatever the drive can, and only a descriptor for
/// writing passes the commands with which a guest unlocks and opens the tray (drivers/scsi/scsi_ioctl.c, scsi_cmd_allowed).
/// </summary>
public sealed class OpticalHostSide : IHostSide
{
    /// <summary>QEMU's type for a drive that is handed over by SCSI passthrough.</summary>
    public const string Driver = "scsi-generic";

    /// <summary>Properties of the attachment that begin so are for the block node (blockdev-add) of its descriptor.</summary>
    public const string NodePrefix = "node.";

    /// <summary>Those that begin so are for the block node of its claim.</summary>
    public const string ClaimPrefix = "claim.";

    private const int UnlockAttempts = 3;
    private static readonly TimeSpan Recheck = TimeSpan.FromMilliseconds(200);
    private readonly KernelPaths _paths;
    private readonly IUeventSource _events;
    private readonly IStorageRelease _storage;
    private readonly TimeProvider _clock;
    private readonly IDiscDrives _drives;
    private readonly BlockInventory _inventory;

    public OpticalHostSide(KernelPaths paths, IUeventSource events, IStorageRelease storage, TimeProvider clock)
        : this(paths, events, storage, clock, new DiscDrives())
    {
    }

    internal OpticalHostSide(KernelPaths paths, IUeventSource events, IStorageRelease storage, TimeProvider clock, IDiscDrives drives)
    {
        (_paths, _events, _storage, _clock, _drives) = (paths, events, storage, clock, drives);
        _inventory = new(paths);
    }

    /// <summary>How long a drive may take to load its disc.</summary>
    public static TimeSpan LoadDeadline { get; } = TimeSpan.FromSeconds(20);

    /// <summary>A drive has no driver to lose: it is served while it is there. Whether a guest has it, its QEMU tells.</summary>
    public Task<HostView> ObserveAsync(Device device, CancellationToken cancellationToken) =>
        LookAsync<HostView>(() => Resolve(device) is null ? HostSight.Absent : HostSight.Served, cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="SwitchException">Refused: it isn't there, has no disc, is mounted or in use, or may not be opened. Failed: it can't be opened.</exception>
    public async Task<Attachment> PrepareAsync(Device device, Recipient to, bool force, CancellationToken cancellationToken)
    {
        await AwaitDiscAsync(device, cancellationToken);
        var blocks = await LookAsync(() => _inventory.Named(Find(device)), cancellationToken);
        await _storage.ReleaseAsync(device.Id, blocks, force, cancellationToken);
        return new(device, [await LookAsync(() => Open(device, to), cancellationToken)]);
    }

    /// <inheritdoc/>
    /// <remarks>A guest locks the tray while it has a disc in use, and a QEMU that dies leaves it so.</remarks>
    /// <exception cref="SwitchException">Failed: the drive may not be opened, or its tray can't be unlocked.</exception>
    public async Task RestoreAsync(Device device, CancellationToken cancellationToken)
    {
        using var listener = _events.Listen();
        for (var attempt = 1; !await LookAsync(() => TryRestore(device, attempt), cancellationToken); attempt++)
        {
            await listener.WaitAsync(IsBlock, Recheck, _clock, cancellationToken);
        }
    }

    internal static bool IsBlock(Uevent uevent) => uevent.Subsystem == "block";

    internal static DeviceRoute.Optical RouteOf(Device device) => device.Route as DeviceRoute.Optical
        ?? throw new ArgumentException($"{device.Id} travels by {device.Route.Word}, not by optical", nameof(device));

    // A drive that loads a disc, or can't read it, holds up whoever asks it: never the caller.
    private static Task<T> LookAsync<T>(Func<T> look, CancellationToken cancellationToken) =>
        Task.Run(look, cancellationToken).WaitAsync(cancellationToken);

    private static SwitchException Refusal(string message) => new(Failure.Refused, message);

    private string? Resolve(Device device) => DiscLinks.Resolve(_paths, device.Id, RouteOf(device).ById);

    private string Find(Device device) => Resolve(device) ?? throw Absent(device);

    private string NodeOf(string name) => Path.Combine(_paths.Dev, name);

    private static SwitchException Absent(Device device) =>
        Refusal($"{device.Id} isn't there: no drive {SysfsText.Clean(RouteOf(device).ById)} in /dev/disk/by-id");

    private async Task AwaitDiscAsync(Device device, CancellationToken cancellationToken)
    {
        using var listener = _events.Listen();
        var start = _clock.GetTimestamp();
        for (var state = await StateAsync(device, cancellationToken); state != DiscState.Present; state = await StateAsync(device, cancellationToken))
        {
            if (state == DiscState.None) throw Refusal($"{device.Id} has no disc in it: put one in and try again");
            if (state == DiscState.TrayOpen) throw Refusal($"the tray of {device.Id} is open: put a disc in, close it and try again");
            if (_clock.GetElapsedTime(start) >= LoadDeadline) throw Refusal($"the disc in {device.Id} can't be read, or is loading still: try again, or try another disc");
            await listener.WaitAsync(IsBlock, Recheck, _clock, cancellationToken);
        }
    }

    private Task<DiscState> StateAsync(Device device, CancellationToken cancellationToken) => LookAsync(
        () =>
        {
            var node = NodeOf(Find(device));
            try
            {
                using var drive = _drives.Open(node, alone: false);
                return drive.State;
            }
            catch (IOException e)
            {
                throw Explain(device, node, e);
            }
        },
        cancellationToken);

    private AttachmentPart Open(Device device, Recipient to)
    {
        var name = Find(device);
        // QEMU refuses to open a drive for writing that can't write.
        var isReadOnly = SysfsText.Read(Path.Combine(_paths.Sys, "class/block", name), "ro") == "1";
        var generic = GenericScsi.NodeOf(_paths, device, name);
        var set = GenericScsi.PrepareSet(_paths, to, generic);
        var claim = Open(device, NodeOf(name), node => _drives.Claim(node, forWriting: !isReadOnly));
        SafeFileHandle? commands = null;
        try
        {
            commands = Open(device, generic, _drives.OpenGeneric);
            // Numbers shift: only unchanged ones after opening prove whose nodes these are.
            if (Resolve(device) != name || GenericScsi.NodeOf(_paths, device, name) != generic)
                throw new SwitchException(Failure.Failed, $"{device.Id} was plugged in anew just now: try again");
            var properties = ImmutableDictionary<string, string>.Empty
                .Add(ClaimPrefix + "driver", "host_device").Add(ClaimPrefix + "read-only", isReadOnly ? "true" : "false")
                .Add(NodePrefix + "driver", "host_device");
            return new(0, Driver, properties, commands, new(Id: null, Serial: null)) { Claim = claim, FdSet = set };
        }
        catch
        {
            claim.Dispose();
            commands?.Dispose();
            throw;
        }
    }

    private static SafeFileHandle Open(Device device, string node, Func<string, SafeFileHandle> open)
    {
        try
        {
            return open(node);
        }
        catch (IOException e)
        {
            throw Explain(device, node, e);
        }
    }

    /// <returns>False when it has to be tried again.</returns>
    private bool TryRestore(Device device, int attempt)
    {
        if (Resolve(device) is not { } name) return true;
        try
        {
            using var drive = _drives.Open(NodeOf(name), alone: true);
            return TryUnlock(device, drive, attempt);
        }
        catch (IOException e) when (e.HResult == Libc.EBUSY)
        {
            // Once it is mounted here it is home: a desktop does that within an instant.
            return !_inventory.UseOf(_inventory.Named(name)).Mounts.IsEmpty;
        }
        catch (IOException e) when (IsGone(e))
        {
            return false;
        }
        catch (IOException e)
        {
            throw Explain(device, NodeOf(name), e);
        }
    }

    private static bool TryUnlock(Device device, IDiscDrive drive, int attempt)
    {
        try
        {
            drive.UnlockTray();
            return true;
        }
        catch (IOException e) when (e.HResult == Libc.EOPNOTSUPP)
        {
            return true; // It has no lock.
        }
        catch (IOException e) when (!IsGone(e))
        {
            // The first command after a change of hands may fail for that alone.
            return attempt < UnlockAttempts ? false : throw new SwitchException(
                Failure.Failed, $"{device.Id} is home but its tray may be locked: {e.Message}; eject the disc with the command eject", e);
        }
    }

    internal static bool IsGone(IOException e) => e.HResult is Libc.ENOENT or Libc.ENXIO or Libc.ENODEV;

    private static SwitchException Explain(Device device, string node, IOException e) => e.HResult switch
    {
        Libc.ENOENT or Libc.ENXIO or Libc.ENODEV => Absent(device),
        Libc.EBUSY => Refusal($"{device.Id} is in use: a program or a guest has claimed {node}; close that, or take it back, and try again"),
        Libc.EACCES or Libc.EPERM => Refusal($"{device.Id} may not be opened: no permission for {node}; run the daemon as root or give it access by a udev rule"),
        _ => new(Failure.Failed, $"{device.Id} can't be opened: {e.Message}", e),
    };
}
