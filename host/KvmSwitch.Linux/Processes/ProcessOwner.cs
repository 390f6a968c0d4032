using System.Globalization;

namespace KvmSwitch.Linux;

/// <summary>As whom a process runs: its effective user and group (/proc/PID/status, proc_pid_status(5)).</summary>
public readonly record struct ProcessOwner(uint UserId, uint GroupId)
{
    /// <returns>Null when there is no such process.</returns>
    public static ProcessOwner? Of(int pid)
    {
        try
        {
            var lines = File.ReadAllLines($"/proc/{pid}/status");
            return Effective(lines, "Uid:") is { } user && Effective(lines, "Gid:") is { } group ? new(user, group) : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    // Real, effective, saved and file-system id, separated by tabs.
    private static uint? Effective(string[] lines, string name) =>
        Array.Find(lines, line => line.StartsWith(name, StringComparison.Ordinal))?.Split('\t') is [_, _, var effective, ..]
            && uint.TryParse(effective, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
}
