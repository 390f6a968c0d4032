using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Windows.Keys;

/// <summary>A certificate in the machine's own store, whose private key never leaves the system's key store.</summary>
/// <param name="Thumbprint">SHA-1 of the certificate, hexadecimal: how Windows names it, no proof of anything.</param>
[SupportedOSPlatform("windows")]
internal sealed record StoredCredential(string Thumbprint) : GuestCredential
{
    public override X509Certificate2 Open()
    {
        using var store = OpenStore(OpenFlags.ReadOnly);
        return Find(store) is { HasPrivateKey: true } found
            ? found
            : throw new CryptographicException($"certificate {Thumbprint} is not in the machine's store, or its key is gone");
    }

    public override void Forget()
    {
        using var store = OpenStore(OpenFlags.ReadWrite);
        if (Find(store) is not { } found)
            return;
        using (found)
        {
            var place = KeyPlace.Of(found);
            store.Remove(found);
            place?.Delete();
        }
    }

    public static X509Store OpenStore(OpenFlags flags)
    {
        var store = new X509Store(StoreName.My, StoreLocation.LocalMachine);
        store.Open(flags);
        return store;
    }

    private X509Certificate2? Find(X509Store store) =>
        store.Certificates.Find(X509FindType.FindByThumbprint, Thumbprint, validOnly: false).FirstOrDefault();
}
