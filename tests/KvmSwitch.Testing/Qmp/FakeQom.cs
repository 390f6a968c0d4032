using System.Text.Json;
using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>The part of QEMU's object tree that shows devices.</summary>
internal static class FakeQom
{
    /// <summary>Where what object-add made is.</summary>
    internal const string Objects = "/objects";

    private const string Peripherals = "/machine/peripheral";

    internal static FakeOutcome ListObjects(IReadOnlyDictionary<string, JsonObject> objects) => FakeOutcome.Done(new JsonArray(
        [Property("type", "string"), .. objects.Select(one => Property(one.Key, $"child<{FakeDeviceRules.Text(one.Value, "qom-type")}>"))]));

    internal static JsonObject? FindObject(JsonObject arguments, IReadOnlyDictionary<string, JsonObject> objects) =>
        FakeDeviceRules.Text(arguments, "path") is { } path && path.StartsWith(Objects + "/", StringComparison.Ordinal)
            ? objects.GetValueOrDefault(path[(Objects.Length + 1)..])
            : null;

    internal static FakeOutcome GetOf(JsonObject one, JsonObject arguments) =>
        FakeDeviceRules.Text(arguments, "property") is { } name && one[name] is { } value
            ? FakeOutcome.Done(value.DeepClone())
            : FakeOutcome.Refused("Property not found");

    internal static FakeOutcome List(JsonObject arguments, IReadOnlyDictionary<string, FakeDevice> devices)
    {
        var path = FakeDeviceRules.Text(arguments, "path");
        if (path == Peripherals)
        {
            return FakeOutcome.Done(new JsonArray(
                [Property("type", "string"), .. devices.Values.Select(device => Property(device.Id, $"child<{device.Driver}>"))]));
        }

        return Find(path, devices) is { } found
            ? FakeOutcome.Done(new JsonArray(
                [Property("type", "string"), Property("attached", "bool"), .. found.Properties.Select(item => Property(item.Key, "str"))]))
            : NotFound(path);
    }

    internal static FakeOutcome Get(JsonObject arguments, IReadOnlyDictionary<string, FakeDevice> devices)
    {
        var path = FakeDeviceRules.Text(arguments, "path");
        var name = FakeDeviceRules.Text(arguments, "property");
        return Find(path, devices) switch
        {
            null => NotFound(path),
            var device when name == "type" => FakeOutcome.Done(device.Driver),
            var device when name == "attached" => FakeOutcome.Done(device.Attached),
            var device when name is not null && device.Properties[name] is { } value => FakeOutcome.Done(value.DeepClone()),
            var device => FakeOutcome.Refused($"Property '{device.Driver}.{name}' not found"),
        };
    }

    /// <summary>Of a USB device, <c>attached</c> alone can be set here.</summary>
    internal static FakeOutcome Set(JsonObject arguments, IDictionary<string, FakeDevice> devices)
    {
        var (path, name) = (FakeDeviceRules.Text(arguments, "path"), FakeDeviceRules.Text(arguments, "property"));
        if (Find(path, devices.AsReadOnly()) is not { } device) return NotFound(path);
        if (name != "attached" || device.Driver != "usb-bot") return FakeOutcome.Refused($"Property '{device.Driver}.{name}' not found");
        if (arguments["value"]?.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False))
            return FakeOutcome.Refused("Invalid parameter type for 'attached', expected: boolean");
        devices[device.Id] = device with { Attached = arguments["value"]!.GetValue<bool>() };
        return FakeOutcome.Done();
    }

    private static FakeOutcome NotFound(string? path) => FakeOutcome.Refused($"Device '{path}' not found", "DeviceNotFound");

    private static FakeDevice? Find(string? path, IReadOnlyDictionary<string, FakeDevice> devices) =>
        path is not null && path.StartsWith(Peripherals + "/", StringComparison.Ordinal)
            ? devices.GetValueOrDefault(path[(Peripherals.Length + 1)..])
            : null;

    private static JsonObject Property(string name, string type) => new() { ["name"] = name, ["type"] = type };
}
