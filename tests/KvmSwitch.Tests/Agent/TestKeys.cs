using System.Security.Cryptography;

namespace KvmSwitch.Tests.Agent;

/// <summary>RSA keys for what is not about making them: a new key takes up to half a second, so a few go round.</summary>
internal static class TestKeys
{
    private static readonly Lazy<RSAParameters>[] All = [.. Enumerable.Range(0, 8).Select(_ => new Lazy<RSAParameters>(Make))];
    private static int next;

    /// <summary>Another key than the seven before it.</summary>
    public static RSA Next() => RSA.Create(All[(uint)Interlocked.Increment(ref next) % All.Length].Value);

    private static RSAParameters Make()
    {
        using var key = RSA.Create(2048);
        return key.ExportParameters(includePrivateParameters: true);
    }
}
