using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvmSwitch.Core;
using KvmSwitch.Linux;

namespace KvmSwitch.Daemon.Guests;

/// <summary>The daemon's own certificate authority, and its certificate as a server. RSA, because SChannel under Wine can't do EC.</summary>
internal sealed class CertificateAuthority : IDisposable
{
    /// <summary>The name in the server's certificate, whatever its address is: agents ask for it.</summary>
    public const string ServerName = "kvmswitch-host";

    /// <summary>
    /// Extension of the server's certificate that holds the authority's (DER). A UUID in the arcs that Microsoft gives for one
    /// (learn.microsoft.com/windows/win32/ad/obtaining-an-object-identifier-from-microsoft): a single arc of 128 bits (ITU-T X.667) can't be
    /// read by GnuTLS, and so not by the SChannel of Wine.
    /// </summary>
    public const string AuthorityExtension = "1.2.840.113556.1.8000.2554.58664.33842.327.18190.42410.14406742.7276589";

    public const int MaxRequestLength = 8 * 1024;

    public static readonly TimeSpan GuestLifetime = TimeSpan.FromDays(2 * 365);

    internal static readonly Oid ServerAuthentication = new("1.3.6.1.5.5.7.3.1");
    internal static readonly Oid ClientAuthentication = new("1.3.6.1.5.5.7.3.2");

    private const string AuthorityFile = "guest-ca.pem";
    private const string ServerFile = "guest-server.pem";
    private const int FingerprintLength = 16;

    private static readonly TimeSpan AuthorityLifetime = TimeSpan.FromDays(10 * 365);
    private static readonly TimeSpan ServerLifetime = TimeSpan.FromDays(3 * 365);
    private static readonly TimeSpan ServerRenewal = TimeSpan.FromDays(365);

    // The clocks of guests are off by hours when host and guest disagree about local time.
    private static readonly TimeSpan Backdate = TimeSpan.FromDays(1);

    private readonly TimeProvider time;

    private CertificateAuthority(X509Certificate2 certificate, X509Certificate2 server, TimeProvider time) =>
        (Certificate, Server, this.time) = (certificate, server, time);

    /// <summary>With its private key.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>With its private key.</summary>
    public X509Certificate2 Server { get; }

    /// <summary>The first 16 bytes of the SHA-256 of the authority's certificate (DER).</summary>
    public byte[] Fingerprint => Certificate.GetCertHash(HashAlgorithmName.SHA256)[..FingerprintLength];

    /// <summary>Loads both certificates, or makes what isn't there yet and renews the server's in its last year.</summary>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    /// <exception cref="IOException">The directory can't be read or written.</exception>
    public static async Task<CertificateAuthority> OpenAsync(string stateDirectory, TimeProvider time, CancellationToken cancellationToken)
    {
        var authority = Path.Combine(stateDirectory, AuthorityFile);
        var certificate = await LoadAsync(authority, cancellationToken)
            ?? await StoreAsync(authority, MakeAuthority(time.GetUtcNow()), cancellationToken);

        var file = Path.Combine(stateDirectory, ServerFile);
        var server = await LoadAsync(file, cancellationToken);
        if (server is null || !IsOurs(server, certificate) || GuestChain.Moment(server.NotAfter) - time.GetUtcNow() < ServerRenewal)
        {
            server?.Dispose();
            server = await StoreAsync(file, MakeServer(certificate, time.GetUtcNow()), cancellationToken);
        }

        return new(certificate, server, time);
    }

    /// <summary>
    /// A certificate for the agent of a machine. Of the request (PKCS#10, DER) only the public key counts, and that its signature
    /// proves possession of the private one.
    /// </summary>
    /// <exception cref="FormatException">No usable request; the message says why.</exception>
    public X509Certificate2 IssueGuest(MachineId machine, byte[] request)
    {
        var key = ReadKey(request);
        var template = new CertificateRequest(new X500DistinguishedName($"CN={machine}"), key, HashAlgorithmName.SHA256);
        AddLeafExtensions(template, ClientAuthentication);
        return Issue(template, Certificate, time.GetUtcNow(), GuestLifetime);
    }

    public void Dispose()
    {
        Server.Dispose();
        Certificate.Dispose();
    }

    private static PublicKey ReadKey(byte[] request)
    {
        if (request.Length is 0 or > MaxRequestLength) throw new FormatException($"a certificate request has 1 to {MaxRequestLength} bytes");
        try
        {
            var parsed = CertificateRequest.LoadSigningRequest(
                request, HashAlgorithmName.SHA256, signerSignaturePadding: RSASignaturePadding.Pkcs1);
            using var rsa = parsed.PublicKey.GetRSAPublicKey() ?? throw new FormatException("the key of the certificate request is not RSA");
            return rsa.KeySize is >= 2048 and <= 8192
                ? parsed.PublicKey
                : throw new FormatException($"the key of the certificate request has {rsa.KeySize} bits, not 2048 to 8192");
        }
        catch (Exception e) when (e is CryptographicException or NotSupportedException or ArgumentException)
        {
            throw new FormatException("the certificate request is damaged or not signed by its own key", e);
        }
    }

    private static X509Certificate2 MakeAuthority(DateTimeOffset now)
    {
        using var key = RSA.Create(3072);
        var name = new X500DistinguishedName("CN=KvmSwitch guests");
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        return request.CreateSelfSigned(now - Backdate, now + AuthorityLifetime);
    }

    private static X509Certificate2 MakeServer(X509Certificate2 authority, DateTimeOffset now)
    {
        using var key = RSA.Create(2048);
        var name = new X500DistinguishedName($"CN={ServerName}");
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        AddLeafExtensions(request, ServerAuthentication);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(ServerName);
        request.CertificateExtensions.Add(names.Build());

        // An agent that pairs knows only the fingerprint of the authority, and .NET never sends a root in the handshake (it trims it).
        request.CertificateExtensions.Add(new X509Extension(AuthorityExtension, authority.RawData, critical: false));

        using var bare = Issue(request, authority, now, ServerLifetime);
        return bare.CopyWithPrivateKey(key);
    }

    private static void AddLeafExtensions(CertificateRequest request, Oid purpose)
    {
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.KeyEncipherment, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([purpose], true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
    }

    private static X509Certificate2 Issue(CertificateRequest request, X509Certificate2 authority, DateTimeOffset now, TimeSpan lifetime)
    {
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, true, false));
        var serial = RandomNumberGenerator.GetBytes(16);
        // A serial number is a positive integer (RFC 5280 4.1.2.2); a set second bit keeps it at 16 bytes.
        serial[0] = (byte)((serial[0] & 0x7f) | 0x40);

        // No certificate outlives its issuer. A clock that is wrong by years must not keep the daemon from starting.
        var (first, last) = (GuestChain.Moment(authority.NotBefore), GuestChain.Moment(authority.NotAfter));
        var start = now < first || now > last ? first : now;
        var from = start - Backdate < first ? first : start - Backdate;
        var to = start + lifetime > last ? last : start + lifetime;
        return request.Create(
            authority.SubjectName, X509SignatureGenerator.CreateForRSA(authority.GetRSAPrivateKey()!, RSASignaturePadding.Pkcs1), from, to, serial);
    }

    private static bool IsOurs(X509Certificate2 server, X509Certificate2 authority)
    {
        using var chain = GuestChain.Create(authority, ServerAuthentication);
        return chain.Build(server) && server.Extensions.Any(one => one.Oid?.Value == AuthorityExtension);
    }

    private static async Task<X509Certificate2?> LoadAsync(string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path)) return null;
        var pem = await File.ReadAllTextAsync(path, cancellationToken);
        try
        {
            return X509Certificate2.CreateFromPem(pem, pem);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException(
                $"{path} is damaged: restore it from a backup, or move it away and pair every guest again", e);
        }
    }

    private static async Task<X509Certificate2> StoreAsync(string path, X509Certificate2 certificate, CancellationToken cancellationToken)
    {
        using var key = certificate.GetRSAPrivateKey()!;
        var pem = $"{certificate.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n";
        await AtomicFile.WriteAsync(
            path, System.Text.Encoding.ASCII.GetBytes(pem), UnixFileMode.UserRead | UnixFileMode.UserWrite, cancellationToken);
        return certificate;
    }
}
