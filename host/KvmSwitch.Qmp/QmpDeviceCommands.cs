using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace KvmSwitch.Qmp;

/// <summary>A descriptor that QEMU holds (qapi/misc.json, <c>AddfdInfo</c>).</summary>
/// <param name="FdSetId">The set.</param>
/// <param name="Fd">QEMU's own number of the descriptor.</param>
public sealed record QmpFdSet(int FdSetId, int Fd)
{
    /// <summary>The name by which an option of QEMU's opens a descriptor of this set.</summary>
    public string Path => $"/dev/fdset/{FdSetId}";
}

/// <summary>One property of an object (qapi/qom.json, <c>ObjectPropertyInfo</c>).</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type, such as <c>bool</c> or <c>child&lt;usb-kbd&gt;</c>.</param>
public sealed record QmpProperty(string Name, string Type);

/// <summary>Devices, objects and descriptors (qapi/qdev.json, qapi/qom.json, qapi/misc.json).</summary>
/// <remarks>All throw as <see cref="QmpClient.ExecuteAsync"/> does, and <see cref="QmpProtocolException"/> for an answer of another shape.</remarks>
public static class QmpDeviceCommands
{
    internal const string Peripherals = "/machine/peripheral";

    /// <summary><c>device_add</c>. Success does not always mean that a device is attached: look at its properties.</summary>
    public static Task DeviceAddAsync(
        this QmpClient client, string driver, string id, JsonObject? properties = null, CancellationToken cancellationToken = default)
    {
        var arguments = new JsonObject { ["driver"] = driver, ["id"] = id };
        foreach (var (name, value) in properties ?? [])
        {
            arguments[name] = value?.DeepClone();
        }

        return client.PlainAsync("device_add", cancellationToken, arguments);
    }

    /// <summary><c>device_del</c>: only asks for the removal, see <see cref="QmpDeviceRemoval.DeviceDelAndWaitAsync"/>.</summary>
    public static Task DeviceDelAsync(this QmpClient client, string id, CancellationToken cancellationToken = default) =>
        client.PlainAsync("device_del", cancellationToken, new JsonObject { ["id"] = id });

    /// <summary><c>object-add</c>: creates an object below <c>/objects</c>.</summary>
    public static Task ObjectAddAsync(
        this QmpClient client, string type, string id, JsonObject? properties = null, CancellationToken cancellationToken = default)
    {
        var arguments = new JsonObject { ["qom-type"] = type, ["id"] = id };
        foreach (var (name, value) in properties ?? [])
        {
            arguments[name] = value?.DeepClone();
        }

        return client.PlainAsync("object-add", cancellationToken, arguments);
    }

    /// <summary><c>object-del</c>.</summary>
    public static Task ObjectDelAsync(this QmpClient client, string id, CancellationToken cancellationToken = default) =>
        client.PlainAsync("object-del", cancellationToken, new JsonObject { ["id"] = id });

    /// <summary>The ids of all devices that were given one.</summary>
    public static async Task<IReadOnlyList<string>> ListPeripheralsAsync(this QmpClient client, CancellationToken cancellationToken = default)
    {
        var properties = await client.QomListAsync(Peripherals, cancellationToken);
        return [.. properties.Where(property => property.Type.StartsWith("child<", StringComparison.Ordinal)).Select(property => property.Name)];
    }

    /// <summary>Whether there is a device of this id.</summary>
    public static async Task<bool> HasPeripheralAsync(this QmpClient client, string id, CancellationToken cancellationToken = default)
    {
        try
        {
            await client.QomGetAsync($"{Peripherals}/{id}", "type", cancellationToken);
            return true;
        }
        catch (QmpCommandException none) when (none.ErrorClass == QmpErrorClass.DeviceNotFound)
        {
            return false;
        }
    }

    /// <summary><c>qom-list</c>: the properties of the object at a path.</summary>
    public static async Task<IReadOnlyList<QmpProperty>> QomListAsync(
        this QmpClient client, string path, CancellationToken cancellationToken = default)
    {
        const string Command = "qom-list";
        var answer = await client.PlainAsync(Command, cancellationToken, new JsonObject { ["path"] = path });
        return [.. answer.ItemsOf(Command).Select(item => new QmpProperty(item.TextOf(Command, "name"), item.TextOf(Command, "type")))];
    }

    /// <summary><c>qom-get</c>: the value of one property.</summary>
    public static Task<JsonElement> QomGetAsync(
        this QmpClient client, string path, string property, CancellationToken cancellationToken = default) =>
        client.PlainAsync("qom-get", cancellationToken, new JsonObject { ["path"] = path, ["property"] = property });

    /// <summary><c>qom-set</c>: sets one property.</summary>
    public static Task QomSetAsync(
        this QmpClient client, string path, string property, JsonNode value, CancellationToken cancellationToken = default) =>
        client.PlainAsync("qom-set", cancellationToken, new JsonObject { ["path"] = path, ["property"] = property, ["value"] = value });

    /// <summary><c>add-fd</c>: gives QEMU a duplicate of a descriptor. Close your own afterwards.</summary>
    /// <param name="client">The session.</param>
    /// <param name="descriptor">Opened with the access mode that QEMU will ask for (a USB node: read and write).</param>
    /// <param name="fdSet">An existing or new set; by default QEMU makes a new one.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<QmpFdSet> AddFdAsync(
        this QmpClient client, SafeHandle descriptor, int? fdSet = null, CancellationToken cancellationToken = default)
    {
        const string Command = "add-fd";
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(descriptor);
        var arguments = fdSet is { } id ? new JsonObject { ["fdset-id"] = id } : null;
        var answer = await client.ExecuteAsync(Command, arguments, null, descriptor, cancellationToken);
        return new QmpFdSet(answer.NumberOf(Command, "fdset-id"), answer.NumberOf(Command, "fd"));
    }

    /// <summary><c>remove-fd</c>: QEMU closes its descriptors of a set; a device that uses one keeps its own duplicate.</summary>
    public static Task RemoveFdAsync(this QmpClient client, int fdSet, int? fd = null, CancellationToken cancellationToken = default)
    {
        var arguments = new JsonObject { ["fdset-id"] = fdSet };
        if (fd is { } number)
        {
            arguments["fd"] = number;
        }

        return client.PlainAsync("remove-fd", cancellationToken, arguments);
    }
}
