using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>What every kind of key needs on its way to a certificate.</summary>
internal static class KeyRequest
{
    private const int LongestCommonName = 64;

    /// <summary>PKCS#10 request, DER.</summary>
    public static byte[] Create(RSA key, string commonName)
    {
        var subject = new X500DistinguishedNameBuilder();
        subject.AddCommonName(commonName.Length is > 0 and <= LongestCommonName ? commonName : "guest");
        return new CertificateRequest(subject.Build(), key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequest();
    }

    /// <summary>The certificate that was issued for <paramref name="key"/>.</summary>
    /// <exception cref="CryptographicException">It is damaged or for another key.</exception>
    public static X509Certificate2 Match(RSA key, ReadOnlySpan<byte> certificate)
    {
        var issued = X509CertificateLoader.LoadCertificate(certificate);
        if (issued.GetPublicKey().AsSpan().SequenceEqual(key.ExportRSAPublicKey()))
            return issued;
        issued.Dispose();
        throw new CryptographicException("it is not for the key that was sent.");
    }
}
