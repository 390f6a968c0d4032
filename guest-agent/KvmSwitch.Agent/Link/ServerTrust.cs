using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvmSwitch.Agent.Link;

/// <summary>
/// Accepts a server whose certificate was issued, for servers, by the one CA whose SHA-256 begins with a known fingerprint.
/// Names don't matter: an address may change, the CA may not. Nor does the time: the clock of a guest that just booted is often
/// wrong, and a switch that fails for that reason helps nobody.
/// </summary>
/// <param name="fingerprint">Beginning of the CA certificate's SHA-256, at least 16 bytes.</param>
/// <param name="known">The CA certificate (DER) where it is known already; otherwise the server has to present it.</param>
internal sealed class ServerTrust(byte[] fingerprint, byte[]? known = null)
{
    /// <summary>
    /// Extension of the server's certificate that holds the CA certificate (DER). TLS stacks leave the root out of the chain that
    /// they send, and .NET's server can't be told otherwise; a guest that only has the fingerprint finds the root here.
    /// </summary>
    public const string CaCertificateExtension = "1.2.840.113556.1.8000.2554.58664.33842.327.18190.42410.14406742.7276589";

    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    /// <summary>Why the last server was refused: the end of a sentence; null when it was accepted.</summary>
    public string? Refusal { get; private set; }

    public static ServerTrust InCa(byte[] certificate) => new(SHA256.HashData(certificate), certificate);

    /// <summary>For <see cref="SslClientAuthenticationOptions.RemoteCertificateValidationCallback"/>.</summary>
    public bool Accepts(X509Certificate? certificate, X509Chain? presented)
    {
        Refusal = certificate is X509Certificate2 leaf ? Refuse(leaf, presented) : "it presented no certificate";
        return Refusal is null;
    }

    private string? Refuse(X509Certificate2 leaf, X509Chain? presented)
    {
        using var ca = FindCa(leaf, presented);
        if (ca is null)
            return "its certificate comes from another host";
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(ca);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        if (!chain.Build(leaf))
            return chain.ChainStatus.Any(status => status.Status == X509ChainStatusFlags.PartialChain)
                ? "its certificate comes from another host"
                : $"its certificate is not valid ({string.Join(", ", chain.ChainStatus.Select(status => status.Status))})";
        return IsForServers(leaf) ? null : "its certificate is not one for servers";
    }

    private X509Certificate2? FindCa(X509Certificate2 leaf, X509Chain? presented)
    {
        var candidates = new List<byte[]>();
        if (known is not null)
            candidates.Add(known);
        if (presented is not null)
            candidates.AddRange(presented.ChainPolicy.ExtraStore.Select(one => one.RawData));
        candidates.AddRange(leaf.Extensions.Where(one => one.Oid?.Value == CaCertificateExtension).Select(one => one.RawData));
        return candidates
            .Where(der => SHA256.HashData(der).AsSpan().StartsWith(fingerprint))
            .Select(X509CertificateLoader.LoadCertificate)
            .FirstOrDefault(IsCa);
    }

    private static bool IsCa(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509BasicConstraintsExtension>().Any(one => one.CertificateAuthority);

    private static bool IsForServers(X509Certificate2 certificate) => certificate.Extensions
        .OfType<X509EnhancedKeyUsageExtension>()
        .Any(usage => usage.EnhancedKeyUsages.Cast<Oid>().Any(one => one.Value == ServerAuthentication));
}
