using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>Who an agent is: the machine that its certificate was issued for.</summary>
internal sealed record GuestPrincipal(MachineId Machine, string CertificateId);

/// <summary>Decides who may speak for which machine. Refusals are gRPC statuses whose detail is one sentence for people.</summary>
/// <param name="isConfigured">Whether the configuration still has this machine.</param>
internal sealed class GuestTrust(
    CertificateAuthority authority, GuestRegister register, PairingDesk desk, GuestLinks links, Func<MachineId, bool> isConfigured, TimeProvider time)
{
    private const int MaxHostName = 64;

    /// <exception cref="RpcException">No certificate of ours (UNAUTHENTICATED), or none that counts any longer (PERMISSION_DENIED).</exception>
    public GuestPrincipal Authenticate(X509Certificate2? certificate)
    {
        if (certificate is null)
            throw Refuse(StatusCode.Unauthenticated, "this agent is not paired with this host: make a code with 'kvmswitch guest pair' and join with it");

        using var chain = GuestChain.Create(authority.Certificate, CertificateAuthority.ClientAuthentication);
        if (!chain.Build(certificate) || register.Find(IdOf(certificate)) is not { } guest)
            throw Refuse(StatusCode.Unauthenticated, "the agent's certificate is not one of this host: pair the guest again");
        var now = time.GetUtcNow();
        if (GuestChain.Moment(certificate.NotAfter) is var end && end <= now)
            throw Refuse(StatusCode.Unauthenticated, $"the agent's certificate expired on {end:yyyy-MM-dd} and the host's clock says {now:yyyy-MM-dd}: set that clock if it is wrong, else pair the guest again");
        if (guest.Revoked)
            throw Refuse(StatusCode.PermissionDenied, "the agent's certificate was revoked: pair the guest again");
        if (!isConfigured(guest.Machine))
            throw Refuse(StatusCode.PermissionDenied, $"the host's configuration has no machine '{guest.Machine}' any longer");
        return new(guest.Machine, guest.Id);
    }

    /// <summary>Trades a token for a certificate; the token is used up also when the request turns out to be bad.</summary>
    /// <exception cref="RpcException">The token doesn't count, or the request is bad.</exception>
    public async Task<EnrolReply> EnrolAsync(EnrolRequest request, IPAddress peer, CancellationToken cancellationToken)
    {
        var machine = Redeem(request, peer);
        try
        {
            using var certificate = authority.IssueGuest(machine, request.CertificateRequest.ToByteArray());
            var guest = new GuestCertificate(
                IdOf(certificate), machine, Text.Clean(request.HostName, MaxHostName), time.GetUtcNow(), GuestChain.Moment(certificate.NotAfter), Revoked: false);
            await register.AddAsync(guest, cancellationToken);
            return new EnrolReply
            {
                Certificate = ByteString.CopyFrom(certificate.RawData),
                CaCertificate = ByteString.CopyFrom(authority.Certificate.RawData),
                Machine = machine.Value,
            };
        }
        catch (FormatException e)
        {
            throw Refuse(StatusCode.InvalidArgument, $"{e.Message}; the pairing code is used up");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Refuse(StatusCode.Internal, $"the host could not store the pairing ({e.Message}): make room and make a new code");
        }
    }

    /// <summary>Revokes a certificate, or all of a machine, and ends the links that used them.</summary>
    /// <param name="guest">A certificate's id, or a machine's name.</param>
    /// <returns>The ids that were revoked by this call.</returns>
    /// <exception cref="SwitchException">Nothing to revoke has this name.</exception>
    /// <exception cref="IOException">It could not be stored; nothing was changed.</exception>
    public async Task<ImmutableArray<string>> RevokeAsync(string guest, CancellationToken cancellationToken)
    {
        var revoked = await register.RevokeAsync(guest, cancellationToken);
        foreach (var id in revoked) links.DisconnectCertificate(id, "the agent's certificate was revoked");
        return revoked;
    }

    private MachineId Redeem(EnrolRequest request, IPAddress peer) => desk.TryRedeem(request.Token.Span, peer, out var machine) switch
    {
        Redemption.TooManyGuesses => throw Refuse(StatusCode.ResourceExhausted, "too many wrong pairing codes came from this address: try again in a minute"),
        Redemption.Wrong => throw Refuse(StatusCode.Unauthenticated, "the pairing code is wrong, used or expired: make a new one with 'kvmswitch guest pair'"),
        _ when !isConfigured(machine) => throw Refuse(StatusCode.PermissionDenied, $"the host's configuration has no machine '{machine}' any longer"),
        _ => machine,
    };

    private static string IdOf(X509Certificate2 certificate) => Convert.ToHexStringLower(certificate.SerialNumberBytes.Span);

    private static RpcException Refuse(StatusCode code, string why) => new(new Status(code, why));
}
