using System.Text.Json;
using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>QEMU's reasons to refuse <c>device_add</c>, in its own order and words (7.2).</summary>
internal static class FakeDeviceRules
{
    private static readonly string[] _families = ["usb-", "vfio-", "virtio-", "scsi-", "pcie-", "input-", "ide-"];
    private static readonly string[] _controllers = ["qemu-xhci", "nec-usb-xhci", "ich9-usb-ehci1", "i6300esb", "e1000e"];

    /// <summary>Null if the device may be added.</summary>
    internal static string? Objection(JsonObject arguments, IReadOnlyDictionary<string, FakeDevice> devices)
    {
        var driver = Text(arguments, "driver");
        var id = Text(arguments, "id");
        return driver is null ? "Parameter 'driver' is missing"
            : id is not null && !IsIdentifier(id) ? "Parameter 'id' expects an identifier"
            : !IsKnown(driver) ? $"'{driver}' is not a valid device model name"
            : Text(arguments, "bus") is { } bus && !HasBus(bus, devices) ? $"Bus '{bus}' not found"
            : arguments["scsi-id"] is { } target && target.GetValueKind() != JsonValueKind.Number ? "Parameter 'scsi-id' expects uint64"
            : id is not null && devices.ContainsKey(id) ? $"Duplicate device ID '{id}'"
            : PlaceTaken(arguments, devices);
    }

    /// <summary>Whether the guest must agree before the device goes.</summary>
    internal static bool NeedsGuest(FakeDevice device) =>
        !device.Driver.StartsWith("usb-", StringComparison.Ordinal) && !device.Driver.StartsWith("scsi-", StringComparison.Ordinal);

    internal static string? Text(JsonObject arguments, string name) =>
        arguments[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static string? PlaceTaken(JsonObject arguments, IReadOnlyDictionary<string, FakeDevice> devices)
    {
        var (bus, port) = (Text(arguments, "bus"), Text(arguments, "port"));
        if (bus is null)
        {
            return null;
        }

        var there = devices.Values.Where(device => Text(device.Properties, "bus") == bus).ToList();
        if (port is not null && there.Any(device => Text(device.Properties, "port") == port))
        {
            return $"usb port {port} (bus {bus}) not found (in use?)";
        }

        var isRootPort = devices.TryGetValue(bus, out var parent) && parent.Driver.StartsWith("pcie-root", StringComparison.Ordinal);
        return isRootPort && there.Count > 0
            ? $"PCI: slot 0 function 0 already occupied by {there[0].Driver}, new function {Text(arguments, "driver")} cannot be exposed to guest."
            : null;
    }

    private static bool HasBus(string bus, IReadOnlyDictionary<string, FakeDevice> devices) =>
        bus == "pcie.0" || devices.ContainsKey(bus) || (bus.EndsWith(".0", StringComparison.Ordinal) && devices.ContainsKey(bus[..^2]));

    private static bool IsKnown(string driver) =>
        _controllers.Contains(driver, StringComparer.Ordinal)
        || _families.Any(family => driver.StartsWith(family, StringComparison.Ordinal));

    private static bool IsIdentifier(string id) =>
        id.Length > 0 && char.IsAsciiLetter(id[0]) && id.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '.' or '_');
}
