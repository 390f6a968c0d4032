using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Linux;

/// <summary>Keys by OpenSSL, kept in the identity's own file.</summary>
internal sealed class RsaKeyMaker : IKeyMaker
{
    public IGuestKey Create(string commonName) => new GuestKey(commonName);

    private sealed class GuestKey : IGuestKey
    {
        private readonly RSA key = RSA.Create(2048);

        public GuestKey(string commonName) => CertificateRequest = KeyRequest.Create(key, commonName);

        public byte[] CertificateRequest { get; }

        public GuestCredential Keep(ReadOnlySpan<byte> certificate)
        {
            using var issued = KeyRequest.Match(key, certificate);
            using var whole = issued.CopyWithPrivateKey(key);
            return new PfxCredential(whole.Export(X509ContentType.Pkcs12));
        }

        public void Dispose() => key.Dispose();
    }
}
