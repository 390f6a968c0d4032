using System.Runtime.Versioning;
using System.Security;
using KvmSwitch.Agent.Enrolment;
using Microsoft.Win32;

namespace KvmSwitch.Agent.Windows;

/// <summary>Join files on all local drives that have a medium in them, and the code that the installer was given (<c>CODE=</c>, <c>HOST=</c>).</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsOffers : IJoinOffers
{
    /// <summary>Of HKEY_LOCAL_MACHINE; written by the installer.</summary>
    public const string Key = @"SOFTWARE\KvmSwitch";
    public const string CodeValue = "JoinCode";
    public const string HostValue = "JoinHost";

    public string Places => $"drives ({string.Join(", ", Roots())})";

    public IReadOnlyList<JoinOffer> Look() =>
        [.. Installed() is { } installed ? [installed] : Array.Empty<JoinOffer>(), .. Roots().Select(JoinFile.Read).OfType<JoinOffer>()];

    /// <summary>The arrival of its device is what tells of a disc.</summary>
    public Task NextChangeAsync(CancellationToken cancellationToken) => Task.Delay(Timeout.Infinite, cancellationToken);

    /// <summary>A share of the network is no drive of this computer: whoever serves it could choose our host.</summary>
    private static IEnumerable<string> Roots() => DriveInfo.GetDrives()
        .Where(drive => drive.DriveType is DriveType.CDRom or DriveType.Fixed or DriveType.Removable or DriveType.Ram && drive.IsReady)
        .Select(drive => drive.RootDirectory.FullName);

    private static JoinOffer? Installed()
    {
        const string Where = "The code that the installer was given";
        try
        {
            using var key = Registry.LocalMachine.OpenSubKey(Key);
            if (key?.GetValue(CodeValue) is not string { Length: > 0 } text)
                return null;
            var code = JoinCode.Parse(text);
            if (key.GetValue(HostValue) is string { Length: > 0 } host)
                code = code with { Addresses = HostAddress.TryParse(host) is { } address ? [address] : throw new BadJoinCodeException($"'{host}' is no address with a port, as 192.168.1.10:7443") };
            return new(Where, code, Problem: null) { Spent = Forget, Replaces = true };
        }
        catch (Exception bad) when (bad is AgentException or IOException or UnauthorizedAccessException or SecurityException)
        {
            return new(Where, Code: null, $"{Where} can't be used: {bad.Message.TrimEnd('.')}.");
        }
    }

    /// <summary>Removes what the installer left.</summary>
    public static void Forget()
    {
        try
        {
            using var key = Registry.LocalMachine.OpenSubKey(Key, writable: true);
            key?.DeleteValue(CodeValue, throwOnMissingValue: false);
            key?.DeleteValue(HostValue, throwOnMissingValue: false);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or SecurityException)
        {
            // The code is used up anyway, and worth nothing to whoever reads it.
        }
    }
}
