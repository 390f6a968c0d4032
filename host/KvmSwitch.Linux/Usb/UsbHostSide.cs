using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using KvmSwitch.Core;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

/// <summary>The host's side of the route <c>usb</c>: finds the device, opens its node for QEMU, and sees to its drivers when it comes home.</summary>
public sealed class UsbHostSide(KernelPaths paths, IUeventSource events, IStorageRelease storage, TimeProvider clock) : IHostSide
{
    // Events are hints that can get lost; nothing but a wait under way looks this often.
    private static readonly TimeSpan Recheck = TimeSpan.FromMilliseconds(200);
    private const int OpenAttempts = 5;
    private readonly UsbInventory _inventory = new(paths);
    private readonly BlockInventory _blocks = new(paths);
    private readonly ConcurrentDictionary<UsbPort, DeviceId> _lent = new();
    private readonly string _probe = Path.Combine(paths.Sys, "bus/usb/drivers_probe");
    private readonly string _release = Path.Combine(paths.Sys, "bus/usb/drivers/usbfs/unbind");

    /// <summary>Where several devices fit the match, the worst sight of them: which one is meant is asked only for handing over.</summary>
    public Task<HostView> ObserveAsync(Device device, CancellationToken cancellationToken) => LookAsync(() => View(Matching(device)), cancellationToken);

    /// <summary>Opens the nodes of what isn't with a guest already. No driver is taken from them yet: QEMU does that.</summary>
    /// <exception cref="SwitchException">
    /// Refused: it isn't there, is ambiguous, is a hub, is mounted, or may not be opened. Failed: its node can't be opened.
    /// </exception>
    public async Task<Attachment> PrepareAsync(Device device, Recipient to, bool force, CancellationToken cancellationToken)
    {
        var match = MatchOf(device);
        var found = await LookAsync(() => Free(match, device), cancellationToken);
        var blocks = await LookAsync(() => found.SelectMany(part => _blocks.Below(part.Part.Port)).ToImmutableArray(), cancellationToken);
        await storage.ReleaseAsync(device.Id, blocks, force, cancellationToken);
        var parts = ImmutableArray.CreateBuilder<AttachmentPart>();
        try
        {
            foreach (var (slot, part) in found) parts.Add(await OpenAsync(device, slot, part.Port, cancellationToken));
            foreach (var (_, part) in found) _lent[part.Port] = device.Id;
            return new(device, parts.ToImmutable());
        }
        catch
        {
            foreach (var part in parts) part.Dispose();
            throw;
        }
    }

    /// <summary>What can be opened, and its slot. Of everything behind a hub, what a guest has already stays there.</summary>
    private ImmutableArray<(int Slot, UsbDevice Part)> Free(UsbMatch match, Device device)
    {
        var first = _inventory.Find(match, device.Id.Value);
        if (match is UsbMatch.Below below) return [.. Slots(below, Matching(device)).Where(pair => !pair.Part.Interfaces.Any(i => i.IsHeldByProgram))];
        if (LentWith(device, first) is { } other) throw new SwitchException(Failure.Refused, $"{device.Id} is lent with '{other}', which it is a part of: take that first");
        return [(0, first)];
    }

    /// <summary>The same part has the same slot each time: the port of the hub it is behind. Whatever shares that takes the next free one.</summary>
    private static IEnumerable<(int Slot, UsbDevice Part)> Slots(UsbMatch.Below below, ImmutableArray<UsbDevice> found)
    {
        var taken = new SortedDictionary<int, UsbDevice>();
        foreach (var part in found.OrderBy(part => part.Port.Value.Length).ThenBy(part => part.Port.Value, StringComparer.Ordinal))
        {
            var slot = part.Port.BranchBelow(below.Port);
            while (taken.ContainsKey(slot)) slot++;
            taken.Add(slot, part);
        }

        return taken.Select(pair => (pair.Key, pair.Value));
    }

    private async Task<AttachmentPart> OpenAsync(Device device, int slot, UsbPort port, CancellationToken cancellationToken)
    {
        using var listener = events.Listen();
        for (var attempt = 1; ; attempt++)
        {
            var (found, node) = await LookAsync(() => TryOpen(device, port), cancellationToken);
            if (node is not null)
            {
                var identity = new GuestIdentity(found.Id, found.Serial.Length > 0 ? found.Serial : null);
                return new(slot, "usb-host", ImmutableDictionary<string, string>.Empty, node, identity);
            }

            if (attempt == OpenAttempts) throw new SwitchException(Failure.Failed, $"{device.Id} keeps reconnecting at {found}: check its cable");
            await listener.WaitAsync(IsUsb, Recheck, clock, cancellationToken);
        }
    }

    /// <summary>Takes the interfaces from the program that has them, which needs no word of QEMU's.</summary>
    public Task<bool> WrestAsync(Device device, CancellationToken cancellationToken) => LookAsync(
        () =>
        {
            foreach (var held in Matching(device).SelectMany(d => d.Interfaces).Where(i => i.IsHeldByProgram)) Write(device, _release, held.Name);
            return !Matching(device).SelectMany(d => d.Interfaces).Any(i => i.IsHeldByProgram);
        },
        cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="SwitchException">Failed: no permission to have drivers bound.</exception>
    public async Task RestoreAsync(Device device, CancellationToken cancellationToken)
    {
        foreach (var lent in _lent.Where(lent => lent.Value == device.Id)) _lent.TryRemove(lent);
        using var listener = events.Listen();
        for (var isQuiet = false; ; isQuiet = !await listener.WaitAsync(IsUsb, Recheck, clock, cancellationToken))
        {
            var devices = await LookAsync(() => Mend(device), cancellationToken);
            // Some interface may have no driver for good: then it is enough that the device works and that nothing changes any more.
            if (devices.All(d => d.IsComplete) || (isQuiet && Sight(devices) == HostSight.Served)) return;
        }
    }

    private static bool IsUsb(Uevent uevent) => uevent.Subsystem == "usb";

    private static HostView View(ImmutableArray<UsbDevice> devices) =>
        new(Sight(devices), IsPartial: devices.Any(d => d.Sight == HostSight.Served) && devices.Any(d => d.Interfaces.Any(i => i.IsHeldByProgram)));

    private static HostSight Sight(ImmutableArray<UsbDevice> devices) => devices.IsEmpty ? HostSight.Absent
        : devices.All(d => d.Sight == HostSight.Served) ? HostSight.Served
        : HostSight.Unserved;

    private static UsbMatch MatchOf(Device device) => device.Route is DeviceRoute.Usb usb
        ? usb.Match
        : throw new ArgumentException($"{device.Id} travels by {device.Route.Word}, not by usb", nameof(device));

    // Some attributes take the device's lock, which a device that hangs in a reset doesn't give: never block the caller.
    private static Task<T> LookAsync<T>(Func<T> look, CancellationToken cancellationToken) =>
        Task.Run(look, cancellationToken).WaitAsync(cancellationToken);

    /// <summary>
    /// What a guest has as a part of another device isn't this one's to look after: between a reset in the guest and QEMU's next claim it
    /// seems to lack its drivers, and one that was bound then would take it from the guest.
    /// </summary>
    private ImmutableArray<UsbDevice> Matching(Device device) => [.. _inventory.Matching(MatchOf(device)).Where(found => LentWith(device, found) is null)];

    /// <summary>The other device as a part of which it was lent; null when it wasn't, or has its drivers again.</summary>
    private DeviceId? LentWith(Device device, UsbDevice found) =>
        found.Sight != HostSight.Served && _lent.TryGetValue(found.Port, out var with) && with != device.Id ? with : null;

    /// <summary>The descriptor is null when the device got another address meanwhile.</summary>
    private (UsbDevice Found, SafeFileHandle? Node) TryOpen(Device device, UsbPort port)
    {
        var found = _inventory.At(port) ?? throw new SwitchException(Failure.Refused, $"{device.Id} was unplugged from port {port} just now");
        var path = Path.Combine(paths.Dev, found.Node);
        var node = Libc.Open(path, Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        if (node.IsInvalid)
        {
            var error = Marshal.GetLastPInvokeError();
            node.Dispose();
            return error switch
            {
                Libc.ENOENT or Libc.ENODEV or Libc.ENXIO => (found, null),
                Libc.EACCES or Libc.EPERM => throw new SwitchException(
                    Failure.Refused, $"{device.Id} may not be opened: no permission for {path}; run the daemon as root or give it access by a udev rule"),
                _ => throw new SwitchException(Failure.Failed, $"{device.Id} can't be opened: {path}: {Marshal.GetPInvokeErrorMessage(error)}"),
            };
        }

        // An address is used again: only an unchanged one after opening proves whose node this is.
        if (_inventory.At(found.Port) is { } now && now.Address == found.Address && now.Id == found.Id) return (found, node);
        node.Dispose();
        return (found, null);
    }

    /// <summary>Has the kernel look for drivers where there are none: a QEMU that was killed leaves interfaces so.</summary>
    private ImmutableArray<UsbDevice> Mend(Device device)
    {
        var found = Matching(device);
        var driverless = found.SelectMany(d => d.Interfaces).Where(i => i.Driver is null).ToArray();
        foreach (var orphan in driverless) Write(device, _probe, orphan.Name);
        return driverless.Length == 0 ? found : Matching(device);
    }

    /// <summary>Tells the kernel the name of an interface.</summary>
    private static void Write(Device device, string attribute, string interfaceName)
    {
        using var file = Libc.Open(attribute, Libc.O_WRONLY | Libc.O_CLOEXEC, 0);
        var error = file.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        if (error is Libc.EACCES or Libc.EPERM or Libc.EROFS)
        {
            throw new SwitchException(
                Failure.Failed, $"{device.Id} has no driver on the host and none can be bound: no permission to write {attribute}; run the daemon as root, or replug it");
        }

        // An error means that the interface or its bus has gone, or that its driver refused it: what counts is what the next look finds.
        var name = Encoding.ASCII.GetBytes(interfaceName + "\n");
        if (!file.IsInvalid) _ = Libc.Write(file, name, name.Length);
    }
}
