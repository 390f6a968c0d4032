using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Knows when a USB controller that came home has found again what is plugged into it.</summary>
internal sealed class UsbSettling(KernelPaths paths, TimeProvider clock)
{
    // A bus that says nothing for so long has nothing more to say.
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(200);
    private readonly UsbInventory _usb = new(paths);
    private readonly PciInventory _pci = new(paths);
    private readonly ConcurrentDictionary<PciAddress, ImmutableArray<string>> _expected = new();

    /// <summary>Notes what is plugged in, before the controller leaves: then its return needs no guessing.</summary>
    public async Task RememberAsync(PciAddress controller, CancellationToken cancellationToken) =>
        _expected[controller] = await LookAsync<ImmutableArray<string>>(() => [.. Complete(controller)], cancellationToken);

    /// <summary>
    /// Returns once the root hubs are there and, behind them, all that was there before works again; or, as that may have been
    /// unplugged meanwhile, once the bus is quiet. Returns at once for a controller that no driver of the host has.
    /// </summary>
    public async Task WaitAsync(PciAddress controller, UeventListener listener, CancellationToken cancellationToken)
    {
        for (var isQuiet = false; ; isQuiet = !await listener.WaitAsync(IsOfBus, Quiet, clock, cancellationToken))
        {
            if (await LookAsync(() => IsSettled(controller, isQuiet), cancellationToken)) return;
        }
    }

    private static bool IsOfBus(Uevent uevent) => uevent.Subsystem is "usb" or "pci" or "hid" or "input" or "block" or "sound";

    private static Task<T> LookAsync<T>(Func<T> look, CancellationToken cancellationToken) =>
        Task.Run(look, cancellationToken).WaitAsync(cancellationToken);

    private bool IsSettled(PciAddress controller, bool isQuiet) =>
        _pci.At(controller) is not { Driver: not (null or PciFunction.Vfio) }
        || (_pci.HasRootHubs(controller) && (isQuiet || (_expected.TryGetValue(controller, out var expected) && !expected.Except(Complete(controller)).Any())));

    // Buses are numbered anew when a controller returns: only the ports on them stay.
    private IEnumerable<string> Complete(PciAddress controller) => _usb.All()
        .Where(device => device.Controller == controller && device.IsComplete)
        .Select(device => $"{device.Port.Value[device.Port.Value.IndexOf('-', StringComparison.Ordinal)..]} {device.Id}");
}
