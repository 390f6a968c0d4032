using System.Text.Json;

namespace KvmSwitch.Qmp;

/// <summary>One asynchronous event (QMP specification, "Asynchronous events").</summary>
/// <param name="Name">Such as <c>DEVICE_DELETED</c>.</param>
/// <param name="Data">Its data, an empty object if it has none.</param>
/// <param name="Timestamp">The host's clock in QEMU; the Unix epoch if QEMU could not tell.</param>
public sealed record QmpEvent(string Name, JsonElement Data, DateTimeOffset Timestamp)
{
    /// <summary>The text of a member of <see cref="Data"/>, or null if it is absent or not a string.</summary>
    public string? Text(string member) =>
        Data.ValueKind == JsonValueKind.Object && Data.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}
