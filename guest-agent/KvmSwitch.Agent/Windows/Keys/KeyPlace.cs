using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvmSwitch.Agent.Windows.Keys;

/// <summary>Where Windows keeps the private key of a certificate (CRYPT_KEY_PROV_INFO, learn.microsoft.com/windows/win32/api/wincrypt).</summary>
/// <param name="Provider">Name of the provider.</param>
/// <param name="Container">Name of the key.</param>
/// <param name="Kind">Of the provider; 0 for a key storage provider.</param>
/// <param name="Number">AT_KEYEXCHANGE; 0 for a key storage provider.</param>
/// <param name="OfMachine">Among the machine's keys, and not the user's.</param>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial record KeyPlace(string Provider, string Container, uint Kind, uint Number, bool OfMachine)
{
    private const uint MachineKeys = 0x20;
    private const uint KeyProviderInformation = 2;
    private const uint DeleteKey = 0x10;

    /// <summary>Lets the certificate know its private key, also in the store that it is then put into.</summary>
    /// <exception cref="CryptographicException">Windows refuses.</exception>
    public void AttachTo(X509Certificate2 certificate)
    {
        // CopyWithPrivateKey does the same after comparing the keys with calls that Wine lacks; ours are compared already.
        fixed (char* provider = Provider, container = Container)
        {
            var information = new Information { Container = container, Provider = provider, Kind = Kind, Flags = OfMachine ? MachineKeys : 0, Number = Number };
            if (!CertSetCertificateContextProperty(certificate.Handle, KeyProviderInformation, 0, &information))
                throw new CryptographicException(Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Where a certificate's private key is kept; null when it has none.</summary>
    /// <exception cref="CryptographicException">Windows refuses to tell.</exception>
    public static KeyPlace? Of(X509Certificate2 certificate)
    {
        uint size = 0;
        if (!CertGetCertificateContextProperty(certificate.Handle, KeyProviderInformation, null, &size))
            return null;
        fixed (byte* data = new byte[size])
        {
            if (!CertGetCertificateContextProperty(certificate.Handle, KeyProviderInformation, data, &size))
                throw new CryptographicException(Marshal.GetLastPInvokeError());
            var found = (Information*)data;
            return new(new(found->Provider), new(found->Container), found->Kind, found->Number, (found->Flags & MachineKeys) != 0);
        }
    }

    /// <summary>Removes the key for good.</summary>
    /// <exception cref="CryptographicException">It is not there any more, or the system keeps it all the same.</exception>
    public void Delete()
    {
        // Not by way of the certificate: asking it for its key crashes the program under Wine.
        if (Kind == 0)
        {
            using var stored = CngKey.Open(Container, new CngProvider(Provider), OfMachine ? CngKeyOpenOptions.MachineKey : CngKeyOpenOptions.None);
            stored.Delete();
            return;
        }

        // Nor by opening it first, as .NET does: Wine writes an open key back when it is closed.
        if (!CryptAcquireContext(out _, Container, Provider.Length > 0 ? Provider : null, Kind, DeleteKey | (OfMachine ? MachineKeys : 0)))
            throw new CryptographicException(Marshal.GetLastPInvokeError());
    }

    /// <summary>CRYPT_KEY_PROV_INFO.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Information
    {
        public char* Container;
        public char* Provider;
        public uint Kind;
        public uint Flags;
        public uint ParameterCount;
        public nint Parameters;
        public uint Number;
    }

    [LibraryImport("advapi32", EntryPoint = "CryptAcquireContextW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CryptAcquireContext(out nint provider, string container, string? providerName, uint kind, uint flags);

    [LibraryImport("crypt32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CertGetCertificateContextProperty(nint certificate, uint property, void* data, uint* size);

    [LibraryImport("crypt32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CertSetCertificateContextProperty(nint certificate, uint property, uint flags, void* data);
}
