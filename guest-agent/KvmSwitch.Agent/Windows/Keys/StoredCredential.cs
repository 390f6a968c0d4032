using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Windows.Keys;

/// <summary>A certificate in the machine's own store, whose private key never leaves the system's key store.</summary>
/// <param name="Thumbprint">SHA-1 of the certificate, hexadecimal: how Windows names it, no proof of anything.</param>
[SupportedOSPlatform("windows")]
internal sealed partial record StoredCredential(string Thumbprint) : GuestCredential
{
    private const uint Commit = 3;

    public override X509Certificate2 Open()
    {
        using var store = OpenStore(OpenFlags.ReadOnly);
        var found = Find(store);
        if (found is { HasPrivateKey: true })
            return found;
        found?.Dispose();
        throw new CryptographicException($"certificate {Thumbprint} is not in the machine's store, or its key is gone");
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
            // Windows has removed the certificate by now. Wine would when the store closes, which after a removal it never does.
            if (!CertControlStore(store.StoreHandle, 0, Commit, 0))
                throw new CryptographicException(Marshal.GetLastPInvokeError());
        }
    }

    public static X509Store OpenStore(OpenFlags flags)
    {
        var store = new X509Store(StoreName.My, StoreLocation.LocalMachine);
        store.Open(flags);
        return store;
    }

    private X509Certificate2? Find(X509Store store)
    {
        X509Certificate2? found = null;
        foreach (var one in store.Certificates)
        {
            if (found is null && one.Thumbprint == Thumbprint)
                found = one;
            else
                one.Dispose();
        }

        return found;
    }

    [LibraryImport("crypt32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CertControlStore(nint store, uint flags, uint control, nint parameter);
}
