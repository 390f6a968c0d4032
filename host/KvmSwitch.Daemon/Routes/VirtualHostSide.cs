using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Routes;

/// <summary>The host's side of a device that exists in QEMU alone: it is home whenever no machine holds it.</summary>
internal sealed class VirtualHostSide : IHostSide
{
    public Task<HostSight> ObserveAsync(Device device, CancellationToken cancellationToken) => Task.FromResult(HostSight.Served);

    public Task<Attachment> PrepareAsync(Device device, CancellationToken cancellationToken)
    {
        // The serial number is how the guest's agent tells two virtual keyboards apart.
        var serial = $"kvmswitch-{device.Id}";
        var route = (DeviceRoute.Virtual)device.Route;
        return Task.FromResult(new Attachment(
            device, route.Driver, ImmutableDictionary<string, string>.Empty.Add("serial", serial), Descriptor: null, new(Id: null, serial)));
    }

    public Task RestoreAsync(Device device, CancellationToken cancellationToken) => Task.CompletedTask;
}
