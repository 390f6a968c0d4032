using System.Globalization;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>Windows programs as Linux sees them (proc(5)).</summary>
internal static class WineProcesses
{
    /// <returns>The command line of each process of the prefix, by process id.</returns>
    public static IReadOnlyDictionary<int, string> In(string prefix)
    {
        var found = new Dictionary<int, string>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)) continue;
            if (Read(directory, "environ").Contains($"WINEPREFIX={prefix}") && Read(directory, "cmdline") is [not "", ..] words)
                found[pid] = string.Join(' ', words).TrimEnd();
        }

        return found;
    }

    private static string[] Read(string directory, string name)
    {
        try
        {
            return File.ReadAllText(Path.Combine(directory, name)).Split('\0');
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
