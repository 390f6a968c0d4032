using System.Text.Json;
using System.Text.Json.Nodes;
using KvmSwitch.Agent.Windows.Keys;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>What pairing leaves behind: the host, and how this guest proves who it is.</summary>
/// <param name="Machine">The machine that this guest is, by the host's name for it.</param>
/// <param name="Addresses">Where the daemon listens, tried in turn.</param>
/// <param name="CaCertificate">The daemon's CA certificate, DER: the only trust anchor.</param>
/// <param name="Credential">Certificate and private key of this guest.</param>
internal sealed record HostIdentity(string Machine, IReadOnlyList<HostAddress> Addresses, byte[] CaCertificate, GuestCredential Credential)
{
    /// <summary>One JSON object, so that one atomic write replaces the key together with the host that it belongs to.</summary>
    public byte[] ToJson()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new() { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("machine", Machine);
            json.WriteStartArray("addresses");
            foreach (var address in Addresses)
                json.WriteStringValue(address.ToString());
            json.WriteEndArray();
            json.WriteBase64String("ca", CaCertificate);
            WriteCredential(json);
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    /// <summary>Null when <paramref name="json"/> is not what <see cref="ToJson"/> writes.</summary>
    public static HostIdentity? TryRead(ReadOnlySpan<byte> json)
    {
        try
        {
            if (JsonNode.Parse(json) is not JsonObject root || root["addresses"] is not JsonArray list)
                return null;
            var addresses = list.Select(node => HostAddress.TryParse(Text(node))).OfType<HostAddress>().ToArray();
            var ca = Convert.FromBase64String(Text(root["ca"]));
            return addresses.Length > 0 && ca.Length > 0 && ReadCredential(root) is { } credential
                ? new(Text(root["machine"]), addresses, ca, credential)
                : null;
        }
        catch (Exception damaged) when (damaged is JsonException or FormatException)
        {
            return null;
        }
    }

    private void WriteCredential(Utf8JsonWriter json)
    {
        if (Credential is PfxCredential pfx)
            json.WriteBase64String("identity", pfx.Bytes);
        else if (OperatingSystem.IsWindows() && Credential is StoredCredential stored)
            json.WriteString("certificate", stored.Thumbprint);
    }

    private static GuestCredential? ReadCredential(JsonObject root)
    {
        if (OperatingSystem.IsWindows() && Text(root["certificate"]) is { Length: > 0 } thumbprint)
            return new StoredCredential(thumbprint);
        return Convert.FromBase64String(Text(root["identity"])) is { Length: > 0 } pfx ? new PfxCredential(pfx) : null;
    }

    private static string Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : "";
}
