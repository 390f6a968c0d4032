using System.Diagnostics;
using System.Globalization;

namespace KvmSwitch.Benchmarks;

/// <summary>What a process does while it has nothing to do, for each second.</summary>
/// <param name="WakeUps">How often a thread of it went to sleep and woke up.</param>
/// <param name="ByTimers">Those of the thread that serves all timers. A timer that rings again and again costs two each time: it rings, and is set anew.</param>
internal sealed record Rest(double WakeUps, double ByTimers, double CpuMs);

/// <summary>What the kernel tells of a process (proc_pid_status(5), proc_pid_stat(5)).</summary>
internal static class ProcessFigures
{
    // USER_HZ, fixed in the kernel's interface to user space.
    private const double TickMs = 10;
    private const int NoSuchProcess = 3;

    /// <summary>Resident memory, MB (10^6 bytes).</summary>
    public static double ResidentMb(int pid) => Number(File.ReadLines($"/proc/{pid}/status"), "VmRSS:") * 1024 / 1e6;

    /// <summary>What it does while nothing moves, over a time.</summary>
    public static async Task<Rest> WatchAsync(int pid, TimeSpan time, CancellationToken cancellation)
    {
        var (before, cpu, started) = (Switches(pid), CpuMs(pid), Stopwatch.GetTimestamp());

        // The one wait that is for a time and not for an event: the measured quantity is what happens when nothing happens.
        await Task.Delay(time, cancellation);
        var (after, seconds) = (Switches(pid), Stopwatch.GetElapsedTime(started).TotalSeconds);
        double During(Func<string, bool> counts) =>
            after.Where(thread => counts(thread.Value.Name)).Sum(thread => thread.Value.Count - before.GetValueOrDefault(thread.Key).Count) / seconds;
        return new(During(_ => true), During(IsTimer), (CpuMs(pid) - cpu) / seconds);
    }

    // One thread of the runtime serves all timers of the program; the web server has a thread of its own for its clock.
    private static bool IsTimer(string thread) => thread == ".NET Timer";

    /// <summary>Name and count of each thread, by its id. A thread that ends between two looks counts for nothing.</summary>
    private static Dictionary<string, (string Name, double Count)> Switches(int pid)
    {
        var threads = new Dictionary<string, (string, double)>(StringComparer.Ordinal);
        foreach (var task in Directory.GetDirectories($"/proc/{pid}/task"))
        {
            try
            {
                threads[task] = (File.ReadAllText($"{task}/comm").Trim(), Number(File.ReadLines($"{task}/status"), "voluntary_ctxt_switches:"));
            }
            catch (Exception gone) when (gone is DirectoryNotFoundException or FileNotFoundException or IOException { HResult: NoSuchProcess })
            {
                // It ended between the listing and the look.
                continue;
            }
        }

        return threads;
    }

    private static double CpuMs(int pid)
    {
        // The second field, the name in parentheses, may hold blanks.
        var fields = File.ReadAllText($"/proc/{pid}/stat").Split(')')[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) * TickMs;
    }

    private static double Number(IEnumerable<string> lines, string key) => double.Parse(
        lines.First(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..].Split('k')[0], CultureInfo.InvariantCulture);
}
