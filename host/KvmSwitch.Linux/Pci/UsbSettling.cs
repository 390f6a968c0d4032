using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Knows when a USB controller that came home has found again what is plugged into it.</summary>
internal sealed class UsbSettling(KernelPaths paths, TimeProvider clock)
{
    // A hub shows nothing while it powers its ports, debounces and resets: some 300 ms, and more on a busy computer.
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1);

    // Events can get lost, and udev's come late when much happens at once: so what counts is what is seen.
    private static readonly TimeSpan Recheck = TimeSpan.FromMilliseconds(30);
    private readonly UsbInventory _usb = new(paths);
    private readonly PciInventory _pci = new(paths);
    private readonly ConcurrentDictionary<PciAddress, ImmutableArray<string>> _expected = new();

    /// <summary>Notes what is plugged in and works, before the controller leaves: then its return needs no guessing.</summary>
    public async Task RememberAsync(PciAddress controller, CancellationToken cancellationToken) =>
        _expected[controller] = await LookAsync<ImmutableArray<string>>(() => [.. Complete(controller)], cancellationToken);

    /// <summary>
    /// Returns once the root hubs are there and, behind them, all that was there before works again; or, as that may have been
    /// unplugged meanwhile, once nothing more comes. Returns at once for a controller that no driver of the host has.
    /// </summary>
    public async Task WaitAsync(PciAddress controller, UeventListener listener, CancellationToken cancellationToken)
    {
        ImmutableArray<string> seen = [];
        var since = clock.GetTimestamp();
        while (await LookAsync(() => Look(controller), cancellationToken) is { } devices)
        {
            if (!devices.SequenceEqual(seen)) (seen, since) = (devices, clock.GetTimestamp());
            if (_pci.HasRootHubs(controller) && (HasAllExpected(controller, devices) || clock.GetElapsedTime(since) >= Quiet)) return;
            await listener.WaitAsync(IsBinding, Recheck, clock, cancellationToken);
        }
    }

    private static bool IsBinding(Uevent uevent) => uevent is { Subsystem: "usb", Action: "bind" };

    private static Task<T> LookAsync<T>(Func<T> look, CancellationToken cancellationToken) =>
        Task.Run(look, cancellationToken).WaitAsync(cancellationToken);

    private bool HasAllExpected(PciAddress controller, ImmutableArray<string> devices) =>
        _expected.TryGetValue(controller, out var expected) && expected.All(devices.Contains);

    /// <summary>Null when no driver of the host has it.</summary>
    private ImmutableArray<string>? Look(PciAddress controller) =>
        _pci.At(controller) is { Driver: not (null or PciFunction.Vfio) } ? [.. Complete(controller)] : null;

    // Buses are numbered anew when a controller returns: only the ports on them stay.
    private IEnumerable<string> Complete(PciAddress controller) => _usb.Behind(controller)
        .Where(device => device.IsComplete)
        .Select(device => $"{device.Port.Value[device.Port.Value.IndexOf('-', StringComparison.Ordinal)..]} {device.Id}");
}
