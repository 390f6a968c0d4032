namespace KvmSwitch.Tests.Configuration;

/// <summary>Files of the source tree that tests read.</summary>
internal static class Repository
{
    public static string PathOf(params string[] parts)
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
            if (File.Exists(Path.Combine(directory.FullName, "KvmSwitch.sln"))) return Path.Combine([directory.FullName, .. parts]);
        throw new InvalidOperationException($"There is no KvmSwitch.sln above {AppContext.BaseDirectory}; run the tests from a clone.");
    }
}
