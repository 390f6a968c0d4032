using System.Buffers.Text;
using Google.Protobuf;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>What a pairing code says: where the host is, how to know it, and the one-time token.</summary>
internal sealed record JoinCode(IReadOnlyList<HostAddress> Addresses, byte[] Fingerprint, byte[] Token)
{
    private const string Prefix = "ksw1-";
    private const int FingerprintLength = 16;

    /// <summary>Reads <c>ksw1-</c> followed by a PairingTicket in base64url.</summary>
    /// <exception cref="BadJoinCodeException">It is no such code, or cut off.</exception>
    public static JoinCode Parse(string text)
    {
        var code = text.Trim();
        if (!code.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            throw new BadJoinCodeException($"This is no pairing code: it begins with '{Prefix}'. Make one on the host with 'kvmswitch guest pair'.");
        return Read(code.AsSpan(Prefix.Length)) ?? throw new BadJoinCodeException(
            "The pairing code is damaged or incomplete: copy all of it, or make a new one on the host with 'kvmswitch guest pair'.");
    }

    private static JoinCode? Read(ReadOnlySpan<char> body)
    {
        if (body.Length > 4096 || !Base64Url.IsValid(body))
            return null;
        try
        {
            var ticket = PairingTicket.Parser.ParseFrom(Base64Url.DecodeFromChars(body));
            var addresses = ticket.Addresses.Select(HostAddress.TryParse).OfType<HostAddress>().ToArray();
            return addresses.Length > 0 && ticket.CaFingerprint.Length >= FingerprintLength && ticket.Token.Length > 0
                ? new(addresses, ticket.CaFingerprint.ToByteArray(), ticket.Token.ToByteArray())
                : null;
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }
}
