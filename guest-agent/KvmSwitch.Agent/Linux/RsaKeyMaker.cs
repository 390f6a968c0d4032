using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvmSwitch.Agent.Linux;

/// <summary>Keys by OpenSSL.</summary>
internal sealed class RsaKeyMaker : IKeyMaker
{
    public IGuestKey Create(string commonName) => new GuestKey(commonName);

    private sealed class GuestKey : IGuestKey
    {
        private readonly RSA key = RSA.Create(2048);

        public GuestKey(string commonName)
        {
            var subject = new X500DistinguishedNameBuilder();
            subject.AddCommonName(commonName.Length is > 0 and <= 64 ? commonName : "guest");
            CertificateRequest = new CertificateRequest(subject.Build(), key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                .CreateSigningRequest();
        }

        public byte[] CertificateRequest { get; }

        public byte[] ExportPfx(ReadOnlySpan<byte> certificate)
        {
            using var bare = X509CertificateLoader.LoadCertificate(certificate);
            using var issued = bare.GetRSAPublicKey();
            if (issued is null || !issued.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo()))
                throw new CryptographicException("it is not for the key that was sent.");
            using var whole = bare.CopyWithPrivateKey(key);
            return whole.Export(X509ContentType.Pkcs12);
        }

        public void Dispose() => key.Dispose();
    }
}
