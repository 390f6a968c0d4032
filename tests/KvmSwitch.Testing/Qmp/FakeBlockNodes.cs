using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>Block nodes, and QEMU's reasons to refuse what is asked of them.</summary>
internal sealed class FakeBlockNodes(FakeFdSets descriptors)
{
    private readonly SortedSet<string> _nodes = new(StringComparer.Ordinal);

    internal IReadOnlyCollection<string> Names => [.. _nodes];

    internal FakeOutcome Add(JsonObject arguments)
    {
        var (name, file) = (FakeDeviceRules.Text(arguments, "node-name"), FakeDeviceRules.Text(arguments, "filename"));
        if (name is null or { Length: > 31 }) return FakeOutcome.Refused("Invalid node-name: '" + name + "'");
        if (_nodes.Contains(name)) return FakeOutcome.Refused($"Duplicate nodes with node-name='{name}'");
        if (file is null || !descriptors.Open(file, KeyOf(name))) return FakeOutcome.Refused($"Could not open '{file}': No such file or directory");
        _nodes.Add(name);
        return FakeOutcome.Done();
    }

    internal FakeOutcome Delete(JsonObject arguments, IReadOnlyDictionary<string, FakeDevice> devices)
    {
        var name = FakeDeviceRules.Text(arguments, "node-name") ?? "";
        if (!_nodes.Contains(name)) return FakeOutcome.Refused($"Failed to find node with node-name='{name}'");
        if (devices.Values.Any(device => FakeDeviceRules.Text(device.Properties, "drive") == name)) return FakeOutcome.Refused($"Node {name} is in use");
        _nodes.Remove(name);
        descriptors.Close(KeyOf(name));
        return FakeOutcome.Done();
    }

    internal FakeOutcome List() => FakeOutcome.Done(new JsonArray(
        [.. _nodes.Select(name => new JsonObject { ["node-name"] = name, ["drv"] = "host_device" })]));

    /// <summary>Null if a device of these properties finds its node.</summary>
    internal string? Objection(JsonObject device) => FakeDeviceRules.Text(device, "drive") is { } drive && !_nodes.Contains(drive)
        ? $"Property '{FakeDeviceRules.Text(device, "driver")}.drive' can't find value '{drive}'"
        : null;

    private static string KeyOf(string node) => "node " + node;
}
