using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Routes;

/// <summary>The host's side of a device that exists in QEMU alone: it is home whenever no machine holds it.</summary>
internal sealed class VirtualHostSide : IHostSide
{
    public Task<HostView> ObserveAsync(Device device, CancellationToken cancellationToken) => Task.FromResult<HostView>(HostSight.Served);

    public Task<Attachment> PrepareAsync(Device device, Recipient to, bool force, CancellationToken cancellationToken)
    {
        // The serial number is how the guest's agent tells two virtual keyboards apart.
        var serial = $"kvmswitch-{device.Id}";
        var route = (DeviceRoute.Virtual)device.Route;
        var part = new AttachmentPart(
            Slot: 0, route.Driver, ImmutableDictionary<string, string>.Empty.Add("serial", serial), Descriptor: null, new(Id: null, serial));
        return Task.FromResult(new Attachment(device, [part]));
    }

    public Task RestoreAsync(Device device, CancellationToken cancellationToken) => Task.CompletedTask;
}
