using System.Text.Json;
using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>
/// The relay's clones in QEMU: objects of type input-linux (qapi/qom.json, InputLinuxProperties). They stay for as long as QEMU runs;
/// who gets the keys is the relay's business.
/// </summary>
internal static class QemuInput
{
    public const string Driver = "input-linux";

    /// <summary>Removes all objects of ours: those of an earlier daemon are dead, because its clones went with it.</summary>
    public static async Task SweepAsync(QmpClient client, CancellationToken cancellationToken)
    {
        foreach (var item in await client.QomListAsync("/objects", cancellationToken))
            if (QemuDevices.IsOurs(item.Name)) await client.ObjectDelAsync(item.Name, cancellationToken);
    }

    /// <summary>Adds the object, unless one that reads the same node is there.</summary>
    /// <param name="admit">Called before QEMU has to open the node.</param>
    public static async Task EnsureAsync(QmpClient client, DeviceId device, AttachmentPart part, Action? admit, CancellationToken cancellationToken)
    {
        var id = QemuDevices.QemuId(device, part.Slot);
        var node = await NodeOfAsync(client, id, cancellationToken);
        if (node == part.Properties["evdev"]) return;
        if (node is not null) await client.ObjectDelAsync(id, cancellationToken);
        admit?.Invoke();
        var properties = new JsonObject();
        foreach (var (name, value) in part.Properties) properties[name] = value is "on" or "off" ? value == "on" : value;
        await client.ObjectAddAsync(Driver, id, properties, cancellationToken);
    }

    /// <summary>The node that an object reads; null: there is no such object.</summary>
    private static async Task<string?> NodeOfAsync(QmpClient client, string id, CancellationToken cancellationToken)
    {
        try
        {
            var node = await client.QomGetAsync($"/objects/{id}", "evdev", cancellationToken);
            return node.ValueKind == JsonValueKind.String ? node.GetString()! : "";
        }
        catch (QmpCommandException gone) when (gone.ErrorClass == QmpErrorClass.DeviceNotFound)
        {
            return null;
        }
    }
}
