using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>The devices that we put into one running QEMU. Whatever else is plugged in there is not ours, and never touched.</summary>
internal static class QemuDevices
{
    private const string Prefix = "kvmswitch-device-";

    /// <summary>QEMU's id of a part of a device: the first has the device's name, further ones its slot behind a dot.</summary>
    public static string QemuId(DeviceId device, int slot = 0) => slot == 0 ? Prefix + device.Value : $"{Prefix}{device.Value}.{slot}";

    public static bool IsOurs(string id) => Named(id) is not null;

    /// <summary>Those of ours that QEMU lists.</summary>
    public static async Task<ImmutableDictionary<DeviceId, Holding>> ListAsync(QmpClient client, CancellationToken cancellationToken)
    {
        var ours = await OursAsync(client, cancellationToken);
        var parts = await Task.WhenAll(ours.Select(async part => (part.Device, IsAttached: await IsAttachedAsync(client, part.Object, cancellationToken))));
        return parts.GroupBy(part => part.Device).ToImmutableDictionary(device => device.Key, device => new Holding(IsStale: !device.Any(part => part.IsAttached)));
    }

    /// <summary>Returns once QEMU says that the part is attached: for usb-host, success of device_add alone proves nothing.</summary>
    /// <param name="place">The properties that say where in the guest it goes.</param>
    /// <param name="admit">What to do before a part without a descriptor is added once more, where QEMU refused it.</param>
    public static async Task AddAsync(
        QmpClient client, DeviceId device, AttachmentPart part, JsonObject place, Action? admit, CancellationToken cancellationToken)
    {
        var id = QemuId(device, part.Slot);
        foreach (var (name, value) in part.Properties) place[name] = value;
        if (part.Descriptor is null) await AddByNameAsync(client, part, id, place, admit, cancellationToken);
        else await AddByDescriptorAsync(client, part, id, place, cancellationToken);
        if (!await IsAttachedAsync(client, new(id, $"child<{part.Driver}>"), cancellationToken))
            throw new SwitchException(Failure.Failed, $"QEMU took {device} but could not open it; is another program using it?");
    }

    /// <summary>Removes all parts, side by side: each waits for the guest.</summary>
    public static async Task RemoveAsync(QmpClient client, Device device, TimeSpan deadline, CancellationToken cancellationToken)
    {
        // Its name is known, and no list needs to be read first. Where it isn't there, another configuration may have left other parts.
        if (device.IsOnePart && await client.DeviceDelAndWaitAsync(QemuId(device.Id), deadline, cancellationToken) != QmpRemoval.AlreadyGone) return;
        var ours = await OursAsync(client, cancellationToken);
        await Task.WhenAll(ours.Where(part => part.Device == device.Id)
            .Select(part => client.DeviceDelAndWaitAsync(part.Object.Name, deadline, cancellationToken)));
    }

    /// <summary>Waits for a removal of all parts that was asked for earlier.</summary>
    public static async Task WaitUntilGoneAsync(QmpClient client, DeviceId device, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var ours = await OursAsync(client, cancellationToken);
        await Task.WhenAll(ours.Where(part => part.Device == device)
            .Select(part => client.WaitForRemovalAsync(part.Object.Name, deadline, cancellationToken)));
    }

    /// <summary>Removes one part, if it is there.</summary>
    public static async Task RemovePartAsync(QmpClient client, DeviceId device, int slot, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var id = QemuId(device, slot);
        if (await client.HasPeripheralAsync(id, cancellationToken))
            await client.DeviceDelAndWaitAsync(id, deadline, cancellationToken);
    }

    private static async Task<IEnumerable<(DeviceId Device, int Slot, QmpProperty Object)>> OursAsync(
        QmpClient client, CancellationToken cancellationToken)
    {
        var listed = await client.QomListAsync("/machine/peripheral", cancellationToken);
        return listed.Select(item => Named(item.Name) is var (device, slot) ? (device, slot, item) : default).Where(ours => ours.item is not null);
    }

    /// <summary>Null for an id that we never gave, whoever did.</summary>
    private static (DeviceId Device, int Slot)? Named(string id)
    {
        if (!id.StartsWith(Prefix, StringComparison.Ordinal) || id[Prefix.Length..].Split('.') is not [var name, .. var rest]) return null;
        try
        {
            return rest switch
            {
                [] => (DeviceId.Parse(name), 0),
                [var number] when byte.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var slot) => (DeviceId.Parse(name), slot),
                _ => null,
            };
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static async Task AddByNameAsync(
        QmpClient client, AttachmentPart part, string id, JsonObject properties, Action? admit, CancellationToken cancellationToken)
    {
        try
        {
            await client.DeviceAddAsync(part.Driver, id, properties, cancellationToken);
        }
        catch (QmpCommandException) when (admit is not null)
        {
            admit();
            await client.DeviceAddAsync(part.Driver, id, properties, cancellationToken);
        }
    }

    private static async Task AddByDescriptorAsync(
        QmpClient client, AttachmentPart part, string id, JsonObject properties, CancellationToken cancellationToken)
    {
        var set = await client.AddFdAsync(part.Descriptor!, cancellationToken: cancellationToken);
        try
        {
            // Ours closes first: left open, it would keep the host's driver off the device after QEMU's death.
            part.Dispose();
            properties["hostdevice"] = set.Path;
            await client.DeviceAddAsync(part.Driver, id, properties, cancellationToken);
        }
        finally
        {
            // QEMU's device holds a duplicate.
            await client.RemoveFdAsync(set.FdSetId, cancellationToken: CancellationToken.None);
        }
    }

    /// <summary>A USB device that was unplugged on the host stays listed, with <c>attached</c> false. Others are there or not.</summary>
    private static async Task<bool> IsAttachedAsync(QmpClient client, QmpProperty item, CancellationToken cancellationToken)
    {
        if (!item.Type.StartsWith("child<usb-", StringComparison.Ordinal)) return true;
        try
        {
            var attached = await client.QomGetAsync($"/machine/peripheral/{item.Name}", "attached", cancellationToken);
            return attached.ValueKind == JsonValueKind.True;
        }
        catch (QmpCommandException gone) when (gone.ErrorClass == QmpErrorClass.DeviceNotFound)
        {
            return false;
        }
    }
}
