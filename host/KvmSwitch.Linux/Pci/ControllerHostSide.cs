using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// The host's side of the route <c>controller</c>: lends PCI functions by vfio-pci and brings them back to the drivers they had. A
/// function that is on vfio-pci and that we never took was put there by the host's own configuration: that is its home until it is
/// given, and then it comes home to the kernel's usual driver.
/// </summary>
public sealed class ControllerHostSide : IHostSide
{
    /// <summary>The largest part of unbinding was measured at 245 ms.</summary>
    private static readonly TimeSpan WriteDeadline = TimeSpan.FromSeconds(6);

    // libvirt's rule; measured need: 256 KiB beyond the guest's memory.
    private const long MemoryBeyondGuest = 1L << 30;
    private readonly IUeventSource _events;
    private readonly IDriverMemory _memory;
    private readonly IProcessLimits _limits;
    private readonly PciInventory _inventory;
    private readonly PciUses _uses;
    private readonly VfioNodes _nodes;
    private readonly UsbSettling _settling;
    private readonly DriverBinding _binding;

    // No driver of the host is for these: being free is all that they can be.
    private readonly ConcurrentDictionary<PciAddress, byte> _unclaimed = new();

    public ControllerHostSide(
        KernelPaths paths, IUeventSource events, IDriverMemory memory, ISysfsWriter writer, IProcessLimits limits, TimeProvider clock)
    {
        (_events, _memory, _limits) = (events, memory, limits);
        _inventory = new(paths);
        _uses = new(paths);
        _nodes = new(paths);
        _settling = new(paths, clock);
        _binding = new(_inventory, new(paths, writer, WriteDeadline, clock), events, clock);
    }

    /// <summary>Reads links alone: a driver that hangs doesn't hold it up.</summary>
    public Task<HostView> ObserveAsync(Device device, CancellationToken cancellationToken) => LookAsync<HostView>(() =>
    {
        var there = Functions(device).Select(_inventory.At).OfType<PciFunction>().ToArray();
        return there.Length == 0 ? HostSight.Absent : there.All(IsHome) ? HostSight.Served : HostSight.Unserved;
    }, cancellationToken);

    /// <summary>
    /// Binds the functions to vfio-pci, and lets QEMU's user open their groups and lock the guest's memory. udev's rules may give a new
    /// node to somebody else, late on a busy computer: waiting for them would cost more than giving it to QEMU again where it was refused.
    /// </summary>
    /// <param name="force">Overrides mounted file systems, routes and screens, but not the host's own disks nor its groups.</param>
    /// <inheritdoc/>
    public async Task<Attachment> PrepareAsync(Device device, Recipient to, bool force, CancellationToken cancellationToken)
    {
        var functions = Functions(device);
        await Task.WhenAll(functions.Select(function => _binding.FinishAsync(function, cancellationToken)));
        var found = await LookAsync(() => Approve(device, force), cancellationToken);
        var groups = found.Select(function => function.IommuGroup!.Value).Distinct().ToArray();
        foreach (var function in found) await RememberAsync(function, cancellationToken);
        foreach (var function in found) await _binding.TakeAsync(device.Id, function.Address, cancellationToken);
        foreach (var group in groups) await _binding.UntilAsync(device.Id, () => _nodes.Exists(group), $"{_nodes.PathOf(group)} doesn't appear", cancellationToken);
        Admit();
        _limits.AllowLockedMemory(to.ProcessId, to.MemoryBytes + MemoryBeyondGuest);
        return new(device, [.. found.Select((function, slot) => Part(function, slot))]) { Admit = Admit };

        void Admit()
        {
            foreach (var group in groups) _nodes.Give(group, to.UserId, to.GroupId);
        }
    }

    /// <summary>
    /// Unbinds from vfio-pci. The kernel then asks QEMU to let go, and QEMU asks its guest, as device_del does: where the guest answers
    /// neither, the kernel waits until QEMU ends, and goes on with the unbinding then.
    /// </summary>
    /// <exception cref="SwitchException">TimedOut: QEMU doesn't let go even so; ending it does.</exception>
    public async Task<bool> WrestAsync(Device device, CancellationToken cancellationToken)
    {
        await ForEachAsync(device, async function =>
        {
            await _binding.FinishAsync(function, cancellationToken);
            if (_inventory.At(function) is not { Driver: PciFunction.Vfio } lent) return;
            await RememberAsync(lent, cancellationToken);
            await _binding.FreeAsync(device.Id, function, cancellationToken);
        });
        return true;
    }

    /// <inheritdoc/>
    /// <exception cref="SwitchException">Failed: its driver doesn't take it back. TimedOut: a driver or the kernel hangs.</exception>
    public Task RestoreAsync(Device device, CancellationToken cancellationToken) =>
        ForEachAsync(device, function => RestoreOneAsync(device.Id, function, cancellationToken));

    private static ImmutableArray<PciAddress> Functions(Device device) => device.Route is DeviceRoute.Controller route
        ? route.Functions
        : throw new ArgumentException($"{device.Id} travels by {device.Route.Word}, not by controller", nameof(device));

    // Never on the caller's thread: what is read may be a device that doesn't answer.
    private static Task<T> LookAsync<T>(Func<T> look, CancellationToken cancellationToken) =>
        Task.Run(look, cancellationToken).WaitAsync(cancellationToken);

    private static AttachmentPart Part(PciFunction function, int slot) => new(
        slot, PciFunction.Vfio, ImmutableDictionary<string, string>.Empty.Add("host", function.Address.Value), null, new(function.Id, null));

    /// <summary>One that hangs must not keep the others: side by side, and then what failed first.</summary>
    private static async Task ForEachAsync(Device device, Func<PciAddress, Task> act)
    {
        var all = Functions(device).Select(act).ToArray();
        await Task.WhenAll(all).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var told in all.Where(one => one.Exception?.InnerException is SwitchException)) await told;
        await Task.WhenAll(all);
    }

    /// <summary>While it is remembered, something is still to be done about it, be it only to allow every driver again.</summary>
    private bool IsHome(PciFunction function) => _memory.Find(function.Address) is null && (function.Driver is not null || _unclaimed.ContainsKey(function.Address));

    private ImmutableArray<PciFunction> Approve(Device device, bool force)
    {
        var functions = Functions(device).Select(address => (Address: address, Found: _inventory.At(address))).ToImmutableArray();
        var there = functions.Select(function => function.Found).OfType<PciFunction>().ToArray();
        var group = there.Select(function => function.IommuGroup).OfType<int>().Distinct().SelectMany(number => _inventory.Group(number)).ToImmutableArray();
        var uses = there.Where(function => function.Driver is not (null or PciFunction.Vfio)).SelectMany(_uses.Behind).ToImmutableArray();
        var foreign = there.Where(function => function.Driver == PciFunction.Vfio && _memory.Find(function.Address) is null);
        var lent = foreign.FirstOrDefault(function => function.IommuGroup is { } number && _nodes.IsInUse(number));
        ControllerGuard.Check(device.Id.Value, new(functions, group, uses, _inventory.HasDriver(PciFunction.Vfio), lent), force);
        return [.. there];
    }

    /// <summary>What was remembered first is the truth: later it may be on vfio-pci by our own doing.</summary>
    private async Task RememberAsync(PciFunction function, CancellationToken cancellationToken)
    {
        if (_memory.Find(function.Address) is not null) return;
        var driver = function.Driver is null or PciFunction.Vfio ? "" : function.Driver;
        await Task.WhenAll(
            function.IsUsbController ? _settling.RememberAsync(function.Address, cancellationToken) : Task.CompletedTask,
            _memory.SaveAsync(function.Address, driver, cancellationToken));
    }

    private async Task RestoreOneAsync(DeviceId name, PciAddress address, CancellationToken cancellationToken)
    {
        using var listener = _events.Listen();
        await _binding.FinishAsync(address, cancellationToken);
        var remembered = _memory.Find(address);
        var found = _inventory.At(address);
        if (found is not null && (remembered is not null || found.Driver is null))
        {
            await _binding.ReturnAsync(name, found, remembered, cancellationToken);
            if (_inventory.At(address) is { Driver: null }) _unclaimed[address] = 0;
        }

        // It has its driver and may have any: what is left is only waited for.
        var forgetting = remembered is null ? Task.CompletedTask : _memory.SaveAsync(address, null, cancellationToken);
        var settling = found is { IsUsbController: true } && (remembered is not null || found.Driver is null)
            ? _settling.WaitAsync(address, listener, cancellationToken)
            : Task.CompletedTask;
        await Task.WhenAll(forgetting, settling);
    }
}
