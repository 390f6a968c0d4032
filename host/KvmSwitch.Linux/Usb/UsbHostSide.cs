using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using KvmSwitch.Core;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

/// <summary>The host's side of the route <c>usb</c>: finds the device, opens its node for QEMU, and sees to its drivers when it comes home.</summary>
public sealed class UsbHostSide(KernelPaths paths, IUeventSource events, TimeProvider clock) : IHostSide
{
    // Events are hints that can get lost; nothing but a wait under way looks this often.
    private static readonly TimeSpan Recheck = TimeSpan.FromMilliseconds(200);
    private const int OpenAttempts = 5;
    private readonly UsbInventory _inventory = new(paths);
    private readonly string _probe = Path.Combine(paths.Sys, "bus/usb/drivers_probe");

    /// <summary>Where several devices fit the match, the worst sight of them: which one is meant is asked only for handing over.</summary>
    public Task<HostSight> ObserveAsync(Device device, CancellationToken cancellationToken) => LookAsync(() => Sight(Matching(device)), cancellationToken);

    /// <summary>Opens the device's node. No driver is taken from it yet: QEMU does that.</summary>
    /// <exception cref="SwitchException">Refused: it isn't there, is ambiguous, is a hub, or may not be opened. Failed: its node can't be opened.</exception>
    public async Task<Attachment> PrepareAsync(Device device, CancellationToken cancellationToken)
    {
        using var listener = events.Listen();
        for (var attempt = 1; ; attempt++)
        {
            var (found, node) = await LookAsync(() => TryOpen(device), cancellationToken);
            if (node is not null)
            {
                var identity = new GuestIdentity(found.Id, found.Serial.Length > 0 ? found.Serial : null);
                return new(device, "usb-host", ImmutableDictionary<string, string>.Empty, node, identity);
            }

            if (attempt == OpenAttempts) throw new SwitchException(Failure.Failed, $"{device.Id} keeps reconnecting at {found}: check its cable");
            await listener.WaitAsync(IsUsb, Recheck, clock, cancellationToken);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="SwitchException">Failed: no permission to have drivers bound.</exception>
    public async Task RestoreAsync(Device device, CancellationToken cancellationToken)
    {
        using var listener = events.Listen();
        for (var isQuiet = false; ; isQuiet = !await listener.WaitAsync(IsUsb, Recheck, clock, cancellationToken))
        {
            var devices = await LookAsync(() => Mend(device), cancellationToken);
            // Some interface may have no driver for good: then it is enough that the device works and that nothing changes any more.
            if (devices.All(d => d.IsComplete) || (isQuiet && Sight(devices) == HostSight.Served)) return;
        }
    }

    private static bool IsUsb(Uevent uevent) => uevent.Subsystem == "usb";

    private static HostSight Sight(ImmutableArray<UsbDevice> devices) => devices.IsEmpty ? HostSight.Absent
        : devices.All(d => d.Sight == HostSight.Served) ? HostSight.Served
        : HostSight.Unserved;

    private static UsbMatch MatchOf(Device device) => device.Route is DeviceRoute.Usb usb
        ? usb.Match
        : throw new ArgumentException($"{device.Id} travels by {device.Route.Word}, not by usb", nameof(device));

    // Some attributes take the device's lock, which a device that hangs in a reset doesn't give: never block the caller.
    private static Task<T> LookAsync<T>(Func<T> look, CancellationToken cancellationToken) =>
        Task.Run(look, cancellationToken).WaitAsync(cancellationToken);

    private ImmutableArray<UsbDevice> Matching(Device device) => _inventory.Matching(MatchOf(device));

    /// <summary>The descriptor is null when the device got another address meanwhile.</summary>
    private (UsbDevice Found, SafeFileHandle? Node) TryOpen(Device device)
    {
        var found = _inventory.Find(MatchOf(device), device.Id.Value);
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
        var driverless = Matching(device).SelectMany(d => d.Interfaces).Where(i => i.Driver is null).ToArray();
        foreach (var orphan in driverless) Probe(device, orphan.Name);
        return Matching(device);
    }

    private void Probe(Device device, string interfaceName)
    {
        using var file = Libc.Open(_probe, Libc.O_WRONLY | Libc.O_CLOEXEC, 0);
        var error = file.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        if (error is Libc.EACCES or Libc.EPERM or Libc.EROFS)
        {
            throw new SwitchException(
                Failure.Failed, $"{device.Id} has no driver on the host and none can be bound: no permission to write {_probe}; run the daemon as root, or replug it");
        }

        // An error means that the interface or its bus has gone, or that its driver refused it: what counts is what the next look finds.
        var name = Encoding.ASCII.GetBytes(interfaceName + "\n");
        if (!file.IsInvalid) _ = Libc.Write(file, name, name.Length);
    }
}
