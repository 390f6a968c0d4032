using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvmSwitch.Agent.Windows.Keys;

/// <summary>RSA keys of the machine that can't be exported.</summary>
[SupportedOSPlatform("windows")]
internal static class MachineKey
{
    private const int Bits = 2048;

    // PROV_RSA_AES: the only one of the old providers that signs with SHA-256.
    private const int RsaAes = 24;

    /// <summary>A new persistent key: of the key storage provider (CNG), or where the system has none that works (Wine) of the old cryptographic provider.</summary>
    public static RSA Create(string name)
    {
        try
        {
            var parameters = new CngKeyCreationParameters
            {
                ExportPolicy = CngExportPolicies.None,
                KeyCreationOptions = CngKeyCreationOptions.MachineKey,
                Provider = CngProvider.MicrosoftSoftwareKeyStorageProvider,
            };
            parameters.Parameters.Add(new("Length", BitConverter.GetBytes(Bits), CngPropertyOptions.None));
            using var key = CngKey.Create(CngAlgorithm.Rsa, name, parameters);
            return new RSACng(key);
        }
        catch (Exception lacking) when (lacking is CryptographicException or PlatformNotSupportedException)
        {
            return new RSACryptoServiceProvider(Bits, new CspParameters(RsaAes, "", name)
            {
                Flags = CspProviderFlags.UseMachineKeyStore | CspProviderFlags.UseNonExportableKey,
                KeyNumber = (int)KeyNumber.Exchange,
            });
        }
    }

    /// <summary>Removes a persistent key for good.</summary>
    public static void Delete(RSA key)
    {
        if (key is RSACng { Key: var persistent })
            persistent.Delete();
        else if (key is RSACryptoServiceProvider old)
            old.PersistKeyInCsp = false;
        key.Dispose();
    }

    public static void Delete(X509Certificate2 certificate)
    {
        if (certificate.GetRSAPrivateKey() is { } key)
            Delete(key);
    }
}
