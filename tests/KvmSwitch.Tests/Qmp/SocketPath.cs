namespace KvmSwitch.Tests.Qmp;

internal static class SocketPath
{
    /// <summary>A short path that nobody uses.</summary>
    internal static string New() => Path.Combine(Path.GetTempPath(), $"q-{Guid.NewGuid():N}.sock");
}
