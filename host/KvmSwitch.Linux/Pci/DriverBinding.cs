using System.Runtime.InteropServices;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Moves functions from driver to driver. What a write answers is only a hint: the driver link is the truth.</summary>
internal sealed class DriverBinding(PciInventory inventory, DriverLanes lanes, IUeventSource events, TimeProvider clock)
{
    // Binding is done when the write returns; only what follows it (nodes, a driver that binds later by itself) takes longer.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Recheck = TimeSpan.FromMilliseconds(50);

    /// <inheritdoc cref="DriverLanes.FinishAsync"/>
    public Task FinishAsync(PciAddress function, CancellationToken cancellationToken) => lanes.FinishAsync(function, cancellationToken);

    /// <summary>To vfio-pci, from whatever driver it has.</summary>
    /// <exception cref="SwitchException">Failed: vfio-pci doesn't take it, or no permission. TimedOut: it hangs.</exception>
    public async Task TakeAsync(DeviceId name, PciAddress function, CancellationToken cancellationToken)
    {
        if (DriverOf(function) == PciFunction.Vfio) return;
        if (await MovesAsync(function, PciFunction.Vfio, driver => driver == PciFunction.Vfio, cancellationToken)) return;
        await OverrideAsync(name, function, PciFunction.Vfio, cancellationToken);
        await FreeAsync(name, function, cancellationToken);
        var error = await lanes.ProbeAsync(function, cancellationToken);
        if (!await BecomesAsync(() => DriverOf(function) == PciFunction.Vfio, error, cancellationToken)) throw Failed(name, function, "vfio-pci doesn't take it", error);
    }

    /// <summary>From whatever driver it has; to none.</summary>
    /// <exception cref="SwitchException">Failed: it stays bound, or no permission. TimedOut: it hangs.</exception>
    public async Task FreeAsync(DeviceId name, PciAddress function, CancellationToken cancellationToken)
    {
        if (DriverOf(function) is not { } driver) return;
        var error = await lanes.UnbindAsync(function, driver, cancellationToken);
        if (!await BecomesAsync(() => DriverOf(function) != driver, error, cancellationToken)) throw Failed(name, function, $"{driver} doesn't let go of it", error);
    }

    /// <summary>Back to its driver, and free again to be bound to any.</summary>
    /// <param name="remembered">The driver that it had; empty: none of the host's; null: we never took it.</param>
    /// <exception cref="SwitchException">Failed: its driver doesn't take it back, or no permission. TimedOut: it hangs.</exception>
    public async Task ReturnAsync(DeviceId name, PciFunction found, string? remembered, CancellationToken cancellationToken)
    {
        var function = found.Address;
        if (remembered is { Length: > 0 } && DriverOf(function) == PciFunction.Vfio
            && await MovesAsync(function, null, driver => driver == remembered, cancellationToken)) return;
        if (remembered is not null) await OverrideAsync(name, function, null, cancellationToken);
        if (DriverOf(function) == PciFunction.Vfio) await FreeAsync(name, function, cancellationToken);
        var error = DriverOf(function) is null ? await ProbeAsync(function, cancellationToken) : 0;
        var wanted = remembered is { Length: > 0 } ? remembered : found.UsualDriver;
        if (DriverOf(function) is null && remembered is { Length: > 0 }) error = await BindAsync(function, remembered, cancellationToken);
        if (DriverOf(function) == PciFunction.Vfio && wanted is not null) await InsistAsync(name, function, wanted, cancellationToken);
        if (remembered is { Length: > 0 } && DriverOf(function) is null or PciFunction.Vfio && inventory.At(function) is not null)
            throw Failed(name, function, $"its driver {remembered} doesn't take it back", error);
    }

    /// <exception cref="SwitchException">Failed: it doesn't come to be.</exception>
    public async Task UntilAsync(DeviceId name, Func<bool> look, string otherwise, CancellationToken cancellationToken)
    {
        if (!await BecomesAsync(look, 0, cancellationToken)) throw new SwitchException(Failure.Failed, $"{name}: {otherwise}");
    }

    /// <summary>The way that it nearly always goes, in one go. Where it doesn't, what comes next is done step by step, and tells what hinders.</summary>
    private async Task<bool> MovesAsync(PciAddress function, string? to, Func<string?, bool> isThere, CancellationToken cancellationToken) =>
        await lanes.MoveAsync(function, DriverOf(function), to, cancellationToken) == 0 && isThere(DriverOf(function));

    /// <summary>vfio-pci claims it by its id, as the kernel's command line may say: so allow its own driver alone, and all others after.</summary>
    private async Task InsistAsync(DeviceId name, PciAddress function, string driver, CancellationToken cancellationToken)
    {
        if (!inventory.HasDriver(driver)) return;
        await FreeAsync(name, function, cancellationToken);
        await OverrideAsync(name, function, driver, cancellationToken);
        await ProbeAsync(function, cancellationToken);
        await OverrideAsync(name, function, null, cancellationToken);
        if (DriverOf(function) is null) await ProbeAsync(function, cancellationToken);
    }

    /// <exception cref="SwitchException">Failed: the kernel refuses it, and no other driver would ever be allowed, or one too many.</exception>
    private async Task OverrideAsync(DeviceId name, PciAddress function, string? driver, CancellationToken cancellationToken)
    {
        var error = await lanes.OverrideAsync(function, driver, cancellationToken);
        if (error != 0 && inventory.At(function) is not null) throw Failed(name, function, $"the kernel doesn't let {driver ?? "every driver"} have it", error);
    }

    private async Task<int> ProbeAsync(PciAddress function, CancellationToken cancellationToken)
    {
        var error = await lanes.ProbeAsync(function, cancellationToken);
        await BecomesAsync(() => DriverOf(function) is not null, error, cancellationToken);
        return error;
    }

    private async Task<int> BindAsync(PciAddress function, string driver, CancellationToken cancellationToken)
    {
        var error = await lanes.BindAsync(function, driver, cancellationToken);
        await BecomesAsync(() => DriverOf(function) is not null, error, cancellationToken);
        return error;
    }

    private string? DriverOf(PciAddress function) => inventory.DriverOf(function);

    /// <param name="error">What the write before it answered: after an error, a single look is enough.</param>
    /// <returns>False when it doesn't in time.</returns>
    private async Task<bool> BecomesAsync(Func<bool> look, int error, CancellationToken cancellationToken)
    {
        using var listener = events.Listen();
        var start = clock.GetTimestamp();
        while (!look())
        {
            if (error != 0 || clock.GetElapsedTime(start) >= Patience) return false;
            await listener.WaitAsync(uevent => uevent.Subsystem is "pci" or "vfio", Recheck, clock, cancellationToken);
        }

        return true;
    }

    private SwitchException Failed(DeviceId name, PciAddress function, string what, int error) => new(
        Failure.Failed,
        inventory.At(function) is null ? $"{name} was unplugged: there is no PCI function {function} any more"
        : $"{name}: {function}: {what}{(error == 0 ? "" : $" ({Marshal.GetPInvokeErrorMessage(error)})")}; the kernel's log ('dmesg') tells why");
}
