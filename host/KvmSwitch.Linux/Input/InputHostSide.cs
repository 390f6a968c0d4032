using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// The host's side of the route <c>input</c>. QEMU holds clones of the device by input-linux, from the first time on for as long as
/// it and we live; handing over and taking back is a grab of the physical device. Slots are never used again, so an object of QEMU
/// with the same slot holds the same clone; clones end with this process, and objects that hold one of an earlier process are dead.
/// </summary>
public sealed class InputHostSide(HostInput input) : IHostSide
{
    /// <summary>Clones whose nodes are QEMU's to open.</summary>
    private readonly ConcurrentDictionary<DeviceId, ImmutableArray<RelayNode>> _admitted = new();

    public Task<HostView> ObserveAsync(Device device, CancellationToken cancellationToken) => input.AskAsync(
        device,
        relay => new HostView(
            !relay.IsPresent ? HostSight.Absent : relay.IsReturning ? HostSight.Unserved : HostSight.Served, relay.LentTo, relay.IsPartial),
        cancellationToken);

    /// <summary>Sees to the clones, whose nodes QEMU may open once it is admitted, until it is lent or recalled. No key of the host goes into them yet.</summary>
    /// <exception cref="SwitchException">Refused: not plugged in, or ambiguous. Failed: no clone can be made. Admitting fails where it isn't permitted.</exception>
    public async Task<Attachment> PrepareAsync(Device device, Recipient to, bool force, CancellationToken cancellationToken)
    {
        var nodes = await (await input.AskAsync(device, relay => relay.OfferAsync(), cancellationToken)).WaitAsync(cancellationToken);
        var parts = nodes.Select(node => new AttachmentPart(node.Slot, "input-linux", Properties(node.Clone), Descriptor: null, new(null, null)));
        return new(device, [.. parts]) { Admit = Admit };

        void Admit()
        {
            _admitted[device.Id] = nodes;
            Own(device, nodes, to.UserId, to.GroupId);
        }
    }

    /// <summary>Returns once the machine alone hears it: at once when no key is down, after a second at most when some are.</summary>
    /// <exception cref="SwitchException">Refused: not plugged in, another program has it, or keys are pressed all the time. Failed: recalled meanwhile.</exception>
    public async Task LendAsync(Device device, MachineId to, CancellationToken cancellationToken)
    {
        TakeNodesBack(device);
        try
        {
            var lending = await input.AskAsync(device, relay => relay.LendAsync(to), cancellationToken);
            await lending.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // Nobody waits for it any more: so it must not happen later, also when its turn has not come yet.
            _ = await input.AskAsync(device, relay => relay.ReturnAsync(), CancellationToken.None);
            throw;
        }
    }

    /// <summary>Returns once the host hears it again. Then the guest doesn't, and no key is down there.</summary>
    public async Task RecallAsync(Device device, CancellationToken cancellationToken)
    {
        await (await input.AskAsync(device, relay => relay.ReturnAsync(), cancellationToken)).WaitAsync(cancellationToken);
        TakeNodesBack(device);
    }

    /// <inheritdoc/>
    public Task RestoreAsync(Device device, CancellationToken cancellationToken) => RecallAsync(device, cancellationToken);

    private static ImmutableDictionary<string, string> Properties(IVirtualInput clone) => ImmutableDictionary<string, string>.Empty
        .Add("evdev", clone.Path)
        // QEMU would let go of the clone on both Ctrl keys; this key it never gets, as the clone has none.
        .Add("grab-toggle", "scrolllock")
        .Add("repeat", "on");

    private static void Own(Device device, ImmutableArray<RelayNode> nodes, uint user, uint group)
    {
        try
        {
            foreach (var node in nodes) node.Clone.GiveTo(user, group);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SwitchException(Failure.Failed, $"{device.Id} can't be handed over: {e.Message}; run the daemon as root", e);
        }
    }

    /// <summary>QEMU has opened them, or won't: nobody else of its user shall.</summary>
    private void TakeNodesBack(Device device)
    {
        if (!_admitted.TryGetValue(device.Id, out var nodes)) return;
        Own(device, nodes, user: 0, group: 0);
        _admitted.TryRemove(device.Id, out _);
    }
}
