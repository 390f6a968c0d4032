using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Windows.Keys;

/// <summary>Keys in the machine's key store, their certificates in <c>LocalMachine\My</c>.</summary>
[SupportedOSPlatform("windows")]
internal sealed class MachineKeyMaker : IKeyMaker
{
    public IGuestKey Create(string commonName) => new GuestKey(commonName);

    private sealed class GuestKey : IGuestKey
    {
        private readonly MachineKey key = MachineKey.Create($"KvmSwitch-{Guid.NewGuid():N}");
        private bool kept;

        public GuestKey(string commonName) => CertificateRequest = KeyRequest.Create(key.Rsa, commonName);

        public byte[] CertificateRequest { get; }

        public GuestCredential Keep(ReadOnlySpan<byte> certificate)
        {
            using var issued = KeyRequest.Match(key.Rsa, certificate);
            key.Place.AttachTo(issued);
            using var store = StoredCredential.OpenStore(OpenFlags.ReadWrite);
            store.Add(issued);
            kept = true;
            return new StoredCredential(issued.Thumbprint);
        }

        public void Dispose()
        {
            if (kept)
                key.Dispose();
            else
                Discard();
        }

        private void Discard()
        {
            try
            {
                key.Delete();
            }
            catch (CryptographicException)
            {
                // Pairing failed, and its reason counts: a key without a certificate is of no use to anybody.
                key.Dispose();
            }
        }
    }
}
