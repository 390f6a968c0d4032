using System.Runtime.Versioning;
using System.Security.Cryptography;

namespace KvmSwitch.Agent.Windows.Keys;

/// <summary>A persistent RSA key of the machine that can't be exported.</summary>
/// <param name="Rsa">The key at work.</param>
/// <param name="Place">Where Windows keeps it, as a certificate refers to it.</param>
[SupportedOSPlatform("windows")]
internal sealed record MachineKey(RSA Rsa, KeyPlace Place) : IDisposable
{
    private const int Bits = 2048;

    // PROV_RSA_AES: the only one of the old providers that signs with SHA-256.
    private const int RsaAes = 24;

    /// <summary>A new key: of the key storage provider (CNG), or where the system has none that keeps keys (Wine) of the old cryptographic provider.</summary>
    public static MachineKey Create(string name)
    {
        try
        {
            return CreateInStorage(name);
        }
        catch (Exception lacking) when (lacking is CryptographicException or PlatformNotSupportedException)
        {
            return CreateInOldProvider(name);
        }
    }

    /// <summary>Removes the key for good.</summary>
    /// <exception cref="CryptographicException">The system keeps it all the same.</exception>
    public void Delete()
    {
        Rsa.Dispose();
        Place.Delete();
    }

    public void Dispose() => Rsa.Dispose();

    private static MachineKey CreateInStorage(string name)
    {
        var provider = CngProvider.MicrosoftSoftwareKeyStorageProvider;
        var parameters = new CngKeyCreationParameters
        {
            ExportPolicy = CngExportPolicies.None,
            KeyCreationOptions = CngKeyCreationOptions.MachineKey,
            Provider = provider,
        };
        parameters.Parameters.Add(new("Length", BitConverter.GetBytes(Bits), CngPropertyOptions.None));
        using var created = CngKey.Create(CngAlgorithm.Rsa, name, parameters);
        // A provider may create a key and not keep it: only one that is found again will do.
        using var kept = CngKey.Open(name, provider, CngKeyOpenOptions.MachineKey);
        return new(new RSACng(kept), new(provider.Provider, name, Kind: 0, Number: 0, OfMachine: true));
    }

    private static MachineKey CreateInOldProvider(string name)
    {
        // Not the machine's part of it: Wine's SChannel finds only the user's own keys, and its services run as the user.
        var key = new RSACryptoServiceProvider(Bits, new CspParameters(RsaAes, "", name)
        {
            Flags = CspProviderFlags.UseNonExportableKey,
            KeyNumber = (int)KeyNumber.Exchange,
        });
        var where = key.CspKeyContainerInfo;
        return new(key, new(where.ProviderName ?? "", name, RsaAes, (uint)KeyNumber.Exchange, OfMachine: false));
    }
}
