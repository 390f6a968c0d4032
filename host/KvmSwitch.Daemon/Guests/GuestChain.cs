using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvmSwitch.Daemon.Guests;

/// <summary>How certificates are judged: issued by our authority, for that purpose; nothing is ever downloaded.</summary>
internal static class GuestChain
{
    public static X509ChainPolicy Policy(X509Certificate2 authority, Oid purpose)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            // Only the end counts, and is checked apart: a host whose clock was set back must not lock its guests out.
            VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid,
        };
        policy.CustomTrustStore.Add(authority);
        policy.ApplicationPolicy.Add(purpose);
        return policy;
    }

    /// <summary>Certificates tell local time.</summary>
    public static DateTimeOffset Moment(DateTime local) => new(local.ToUniversalTime());

    public static X509Chain Create(X509Certificate2 authority, Oid purpose) => new() { ChainPolicy = Policy(authority, purpose) };
}
