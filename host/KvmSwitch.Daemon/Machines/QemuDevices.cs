using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>The devices that we put into one running QEMU. Whatever else is plugged in there is not ours, and never touched.</summary>
internal static class QemuDevices
{
    private const string Prefix = "kvmswitch-device-";

    public static string QemuId(DeviceId device) => Prefix + device.Value;

    /// <summary>Those of ours that are really attached: a device that was unplugged on the host stays listed, with <c>attached</c> false.</summary>
    public static async Task<ImmutableHashSet<DeviceId>> ListAsync(QmpClient client, CancellationToken cancellationToken)
    {
        var attached = ImmutableHashSet.CreateBuilder<DeviceId>();
        foreach (var id in await client.ListPeripheralsAsync(cancellationToken))
        {
            if (Named(id) is { } device && await IsAttachedAsync(client, id, cancellationToken)) attached.Add(device);
        }

        return attached.ToImmutable();
    }

    /// <summary>Null for an id that we never gave, whoever did.</summary>
    private static DeviceId? Named(string id)
    {
        try
        {
            return id.StartsWith(Prefix, StringComparison.Ordinal) ? DeviceId.Parse(id[Prefix.Length..]) : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    /// <summary>Returns once QEMU says that the device is attached: for usb-host, success of device_add alone proves nothing.</summary>
    /// <param name="bus">QEMU's name of the guest's USB bus.</param>
    public static async Task AddAsync(QmpClient client, Attachment attachment, string bus, CancellationToken cancellationToken)
    {
        var (device, id) = (attachment.Device, QemuId(attachment.Device.Id));
        var properties = new JsonObject { ["bus"] = bus, ["port"] = $"{device.Port.Port}" };
        foreach (var (name, value) in attachment.Properties) properties[name] = value;
        if (attachment.Descriptor is null)
        {
            await client.DeviceAddAsync(attachment.Driver, id, properties, cancellationToken);
        }
        else
        {
            await AddByDescriptorAsync(client, attachment, id, properties, cancellationToken);
        }

        if (!await IsAttachedAsync(client, id, cancellationToken))
        {
            throw new SwitchException(Failure.Failed, $"QEMU took {device.Id} but could not open it; is another program using it?");
        }
    }

    public static async Task RemoveAsync(QmpClient client, DeviceId device, CancellationToken cancellationToken)
    {
        var id = QemuId(device);
        if (!(await client.ListPeripheralsAsync(cancellationToken)).Contains(id, StringComparer.Ordinal)) return;
        await client.DeviceDelAndWaitAsync(id, cancellationToken: cancellationToken);
    }

    private static async Task AddByDescriptorAsync(
        QmpClient client, Attachment attachment, string id, JsonObject properties, CancellationToken cancellationToken)
    {
        var set = await client.AddFdAsync(attachment.Descriptor!, cancellationToken: cancellationToken);
        try
        {
            // Ours closes first: left open, it would keep the host's driver off the device after QEMU's death.
            attachment.Dispose();
            properties["hostdevice"] = set.Path;
            await client.DeviceAddAsync(attachment.Driver, id, properties, cancellationToken);
        }
        finally
        {
            // QEMU's device holds a duplicate.
            await client.RemoveFdAsync(set.FdSetId, cancellationToken: CancellationToken.None);
        }
    }

    private static async Task<bool> IsAttachedAsync(QmpClient client, string id, CancellationToken cancellationToken)
    {
        try
        {
            var attached = await client.QomGetAsync($"/machine/peripheral/{id}", "attached", cancellationToken);
            return attached.ValueKind == JsonValueKind.True;
        }
        catch (QmpCommandException gone) when (gone.ErrorClass == QmpErrorClass.DeviceNotFound)
        {
            return false;
        }
    }
}
