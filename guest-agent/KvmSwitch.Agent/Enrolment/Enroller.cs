using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Agent.Link;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>Trades a pairing code for an identity.</summary>
internal sealed class Enroller(IKeyMaker keys, IdentityStore store)
{
    private static readonly TimeSpan ReplyTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Pairs with the first address that answers, and replaces what was stored before.</summary>
    /// <exception cref="AgentException">Pairing failed; what was stored before is unharmed.</exception>
    public async Task<HostIdentity> JoinAsync(JoinCode code, string hostName, CancellationToken cancellationToken)
    {
        store.Prepare();
        using var key = CreateKey(hostName);
        var identity = await AskAsync(code, key, hostName, cancellationToken);
        var before = store.LoadIfWhole();
        store.Save(identity);
        Forget(before);
        return identity;
    }

    private IGuestKey CreateKey(string hostName)
    {
        try
        {
            return keys.Create(hostName);
        }
        catch (CryptographicException refused)
        {
            throw new JoinFailedException($"This system makes no key for pairing: {refused.Message}", refused) { IsForNow = true };
        }
    }

    private static void Forget(HostIdentity? before)
    {
        try
        {
            before?.Credential.Forget();
        }
        catch (CryptographicException)
        {
            // The new pairing works; a key that no host accepts any more harms nobody.
        }
    }

    private static async Task<HostIdentity> AskAsync(JoinCode code, IGuestKey key, string hostName, CancellationToken cancellationToken)
    {
        var request = new EnrolRequest
        {
            Token = ByteString.CopyFrom(code.Token),
            CertificateRequest = ByteString.CopyFrom(key.CertificateRequest),
            HostName = hostName.Length > 64 ? hostName[..64] : hostName,
        };
        var failures = new List<string>();
        foreach (var address in code.Addresses)
        {
            using var channel = new HostChannel(address, new ServerTrust(code.Fingerprint));
            try
            {
                var reply = await channel.Client.EnrolAsync(request, deadline: DateTime.UtcNow + ReplyTimeout, cancellationToken: cancellationToken);
                return Accept(code, key, reply);
            }
            catch (RpcException refused) when (IsAnswer(refused.StatusCode))
            {
                throw new JoinFailedException(Sentence(refused.Status), refused) { IsForNow = refused.StatusCode == StatusCode.ResourceExhausted };
            }
            catch (RpcException unreachable) when (!cancellationToken.IsCancellationRequested)
            {
                failures.Add(channel.Explain(unreachable));
            }
        }

        throw new JoinFailedException($"The host can't be reached: {string.Join("; ", failures)}.") { IsForNow = true };
    }

    // The host itself has spoken: its other addresses would say the same.
    private static bool IsAnswer(StatusCode code) => code is StatusCode.Unauthenticated or StatusCode.PermissionDenied
        or StatusCode.ResourceExhausted or StatusCode.InvalidArgument or StatusCode.FailedPrecondition;

    private static string Sentence(Status status) => status.StatusCode switch
    {
        StatusCode.Unauthenticated => "The host refused the pairing code: it is wrong, used or expired. Make a new one there with 'kvmswitch guest pair'.",
        StatusCode.ResourceExhausted => "The host takes no pairing codes for a moment, because too many were wrong: wait a minute and try again.",
        _ => $"The host refused to pair: {status.Detail}",
    };

    private static HostIdentity Accept(JoinCode code, IGuestKey key, EnrolReply reply)
    {
        var ca = reply.CaCertificate.ToByteArray();
        if (!SHA256.HashData(ca).AsSpan().StartsWith(code.Fingerprint))
            throw new JoinFailedException("The host answered with a CA certificate that the pairing code does not name: nothing was stored.");
        try
        {
            return new(reply.Machine, code.Addresses, ca, key.Keep(reply.Certificate.Span));
        }
        catch (CryptographicException useless)
        {
            throw new JoinFailedException($"The host answered with a certificate that can't be used: {useless.Message}", useless);
        }
    }
}
