using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Switching;

internal sealed class WorldHostSide(FakeWorld world, WorldProcess process) : IHostSide
{
    public Task<HostView> ObserveAsync(Device device, CancellationToken cancellationToken) =>
        process.CallAsync<HostView>(WorldCall.ObserveHost, device.Id, null, _ => See(device), cancellationToken);

    public Task<Attachment> PrepareAsync(Device device, Recipient to, bool force, CancellationToken cancellationToken) =>
        process.CallAsync(WorldCall.Prepare, device.Id, null, _ => world.Prepare(process, device), cancellationToken);

    public Task RestoreAsync(Device device, CancellationToken cancellationToken) =>
        process.CallAsync(WorldCall.Restore, device.Id, null, _ => Done(() => world.Restore(device.Id)), cancellationToken);

    /// <summary>What is relayed, the host itself takes back.</summary>
    public async Task RecallAsync(Device device, CancellationToken cancellationToken)
    {
        if (device.Route.IsHeldByQemu) return;
        foreach (var holder in world.HoldersOf(device.Id))
            await process.CallAsync(WorldCall.Detach, device.Id, holder, _ => Done(() => world.Detach(device.Id, holder)), cancellationToken);
    }

    private HostView See(Device device) => !device.Route.IsHeldByQemu && world.HoldersOf(device.Id) is { Count: 1 } holders
        ? new HostView(HostSight.Served, holders.Single())
        : world.Sight(device.Id);

    internal static bool Done(Action act)
    {
        act();
        return true;
    }
}

internal sealed class WorldMachineSide(FakeWorld world, WorldProcess process, MachineId id) : IMachineSide
{
    public MachineId Id => id;

    public Task<ImmutableDictionary<DeviceId, Holding>> ObserveAsync(CancellationToken cancellationToken) =>
        process.CallAsync(WorldCall.ObserveMachine, null, id, _ => world.HeldBy(id), cancellationToken);

    public Task AttachAsync(Attachment attachment, CancellationToken cancellationToken) => process.CallAsync(
        WorldCall.Attach, attachment.Device.Id, id, late => WorldHostSide.Done(() => world.Attach(attachment, id, late)), cancellationToken);

    public Task<Recipient> IdentifyAsync(CancellationToken cancellationToken) => world.IsRunning(id)
        ? Task.FromResult(new Recipient(id, 1000, 1000, 1000, 1 << 30))
        : Task.FromException<Recipient>(FakeWorld.Fail($"{id} is not running"));

    public bool CanConfirm(Device device) => true;

    public Task ConfirmAsync(Device device, ImmutableDictionary<int, GuestIdentity> identities, CancellationToken cancellationToken) => process.CallAsync(
        WorldCall.Confirm, device.Id, id, _ => WorldHostSide.Done(() => world.CheckSeen(device.Id, id)), cancellationToken);

    public Task DetachAsync(Device device, CancellationToken cancellationToken) => process.CallAsync(
        WorldCall.Detach, device.Id, id, _ => WorldHostSide.Done(() => world.Detach(device.Id, id)), cancellationToken);
}
