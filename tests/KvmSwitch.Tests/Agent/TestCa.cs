using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvmSwitch.Agent.Link;

namespace KvmSwitch.Tests.Agent;

/// <summary>A small CA as the daemon has one.</summary>
internal sealed class TestCa : IDisposable
{
    public const string ForServers = "1.3.6.1.5.5.7.3.1";
    public const string ForClients = "1.3.6.1.5.5.7.3.2";

    private readonly RSA key = TestKeys.Next();
    private readonly X509Certificate2 root;

    public TestCa(bool isCa = true)
    {
        var request = new CertificateRequest("CN=test host", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isCa, hasPathLengthConstraint: false, 0, critical: true));
        root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddYears(5));
    }

    public byte[] Certificate => root.RawData;

    public byte[] Fingerprint => SHA256.HashData(Certificate)[..16];

    public X509Certificate2 Server(string usage = ForServers, DateTimeOffset? expired = null, byte[]? carriedRoot = null)
    {
        using var server = TestKeys.Next();
        using var issued = Issue(new PublicKey(server), "CN=anything", usage, expired, carriedRoot ?? Certificate);
        using var whole = issued.CopyWithPrivateKey(server);
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>A guest's certificate with its key, PKCS#12.</summary>
    public byte[] GuestPfx()
    {
        using var guest = TestKeys.Next();
        using var issued = Issue(new PublicKey(guest), "CN=guest", ForClients);
        using var whole = issued.CopyWithPrivateKey(guest);
        return whole.Export(X509ContentType.Pkcs12);
    }

    public byte[] Sign(byte[] certificateRequest)
    {
        var request = CertificateRequest.LoadSigningRequest(certificateRequest, HashAlgorithmName.SHA256);
        using var issued = Issue(request.PublicKey, "CN=guest", ForClients);
        return issued.RawData;
    }

    public bool Issued(X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(root);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(certificate);
    }

    public void Dispose()
    {
        root.Dispose();
        key.Dispose();
    }

    private X509Certificate2 Issue(PublicKey subject, string name, string usage, DateTimeOffset? expired = null, byte[]? carriedRoot = null)
    {
        var request = new CertificateRequest(new X500DistinguishedName(name), subject, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], critical: false));
        if (carriedRoot is not null)
            request.CertificateExtensions.Add(new X509Extension(ServerTrust.CaCertificateExtension, carriedRoot, critical: false));
        var from = new DateTimeOffset(root.NotBefore);
        var until = expired ?? new DateTimeOffset(root.NotAfter);
        return request.Create(
            root.SubjectName, X509SignatureGenerator.CreateForRSA(key, RSASignaturePadding.Pkcs1),
            from, until, RandomNumberGenerator.GetBytes(8));
    }
}
