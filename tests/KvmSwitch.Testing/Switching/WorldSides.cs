using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Switching;

internal sealed class WorldHostSide(FakeWorld world, WorldProcess process) : IHostSide
{
    public Task<HostSight> ObserveAsync(Device device, CancellationToken cancellationToken) =>
        process.CallAsync(WorldCall.ObserveHost, device.Id, null, _ => world.Sight(device.Id), cancellationToken);

    public Task<Attachment> PrepareAsync(Device device, CancellationToken cancellationToken) =>
        process.CallAsync(WorldCall.Prepare, device.Id, null, _ => world.Prepare(process, device), cancellationToken);

    public Task RestoreAsync(Device device, CancellationToken cancellationToken) =>
        process.CallAsync(WorldCall.Restore, device.Id, null, _ => Done(() => world.Restore(device.Id)), cancellationToken);

    internal static bool Done(Action act)
    {
        act();
        return true;
    }
}

internal sealed class WorldMachineSide(FakeWorld world, WorldProcess process, MachineId id) : IMachineSide
{
    public MachineId Id => id;

    public Task<ImmutableHashSet<DeviceId>> ObserveAsync(CancellationToken cancellationToken) =>
        process.CallAsync(WorldCall.ObserveMachine, null, id, _ => world.HeldBy(id), cancellationToken);

    public Task AttachAsync(Attachment attachment, CancellationToken cancellationToken) => process.CallAsync(
        WorldCall.Attach, attachment.Device.Id, id, late => WorldHostSide.Done(() => world.Attach(attachment, id, late)), cancellationToken);

    public Task ConfirmAsync(Device device, GuestIdentity identity, CancellationToken cancellationToken) => process.CallAsync(
        WorldCall.Confirm, device.Id, id, _ => WorldHostSide.Done(() => world.CheckSeen(device.Id, id)), cancellationToken);

    public Task DetachAsync(Device device, CancellationToken cancellationToken) => process.CallAsync(
        WorldCall.Detach, device.Id, id, _ => WorldHostSide.Done(() => world.Detach(device.Id, id)), cancellationToken);
}
