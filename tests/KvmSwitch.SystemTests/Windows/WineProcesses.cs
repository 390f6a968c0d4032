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

    /// <summary>What a process has in memory.</summary>
    public static ResidentMemory Memory(int pid)
    {
        var (all, system, isSystem) = (0L, 0L, false);
        foreach (var line in File.ReadLines($"/proc/{pid}/smaps"))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            // Fields follow the line of their mapping, whose sixth word is a path where it is of a file.
            if (!words[0].EndsWith(':'))
            {
                isSystem = words is [_, _, _, _, _, ['/', 'u', 's', 'r', '/', ..], ..];
            }
            else if (words[0] == "Rss:")
            {
                var bytes = 1024 * long.Parse(words[1], CultureInfo.InvariantCulture);
                all += bytes;
                if (isSystem) system += bytes;
            }
        }

        return new(all / 1e6, system / 1e6, Directory.EnumerateDirectories($"/proc/{pid}/task").Count());
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

/// <summary>What a process has in memory, MB (10^6 bytes).</summary>
/// <param name="All">All that is resident.</param>
/// <param name="System">Of that, files of Wine and of Linux.</param>
/// <param name="Threads">Wine 8 clears 960 KB of the stack of each as it begins (signal_start_thread of its ntdll), however little is reserved.</param>
internal sealed record ResidentMemory(double All, double System, int Threads)
{
    public override string ToString() => FormattableString.Invariant($"{All:0} MB resident with {Threads} threads, {System:0} MB of it files of Wine and Linux");
}
