using System.Diagnostics;
using System.Globalization;

namespace KvmSwitch.Benchmarks;

/// <summary>What the kernel tells of a process (proc_pid_status(5), proc_pid_stat(5)).</summary>
internal static class ProcessFigures
{
    // USER_HZ, fixed in the kernel's interface to user space.
    private const double TickMs = 10;

    /// <summary>Resident memory, MB (10^6 bytes).</summary>
    public static double ResidentMb(int pid) => Number(File.ReadLines($"/proc/{pid}/status"), "VmRSS:") * 1024 / 1e6;

    /// <summary>How often its threads went to sleep and woke up, and how much it ran, over a time, for each second.</summary>
    public static async Task<(double WakeUps, double CpuMs)> WatchAsync(int pid, TimeSpan time, CancellationToken cancellation)
    {
        var (wakeUps, cpu, started) = (WakeUps(pid), CpuMs(pid), Stopwatch.GetTimestamp());

        // The one wait that is for a time and not for an event: the measured quantity is what happens when nothing happens.
        await Task.Delay(time, cancellation);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return ((WakeUps(pid) - wakeUps) / seconds, (CpuMs(pid) - cpu) / seconds);
    }

    private static double WakeUps(int pid) => Directory.GetDirectories($"/proc/{pid}/task").Sum(Switches);

    private static double Switches(string task)
    {
        try
        {
            return Number(File.ReadLines($"{task}/status"), "voluntary_ctxt_switches:");
        }
        catch (Exception gone) when (gone is DirectoryNotFoundException or FileNotFoundException or IOException { HResult: NoSuchProcess })
        {
            // The thread ended between the listing and the look.
            return 0;
        }
    }

    private const int NoSuchProcess = 3;

    private static double CpuMs(int pid)
    {
        // The second field, the name in parentheses, may hold blanks.
        var fields = File.ReadAllText($"/proc/{pid}/stat").Split(')')[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) * TickMs;
    }

    private static double Number(IEnumerable<string> lines, string key) => double.Parse(
        lines.First(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..].Split('k')[0], CultureInfo.InvariantCulture);
}
