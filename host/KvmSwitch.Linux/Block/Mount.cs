namespace KvmSwitch.Linux;

/// <summary>One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). Written by the kernel, but with names that users chose.</summary>
/// <param name="Numbers">Of the device, as <c>8:17</c>; <c>0:N</c> for a file system that has none of its own.</param>
/// <param name="Point">Where it is mounted: one character for each byte.</param>
/// <param name="Type">As <c>ext4</c>.</param>
/// <param name="Source">What was mounted, as whoever mounted it called it: one character for each byte.</param>
public sealed record Mount(string Numbers, string Point, string Type, string Source)
{
    /// <summary>For people: without control characters, and bounded.</summary>
    public override string ToString() => ProcText.Readable(Point);

    /// <summary>Null for a line that makes no sense.</summary>
    internal static Mount? Parse(string line)
    {
        var fields = line.Split(' ');
        // Six fields, any number of optional ones, a hyphen, and three more.
        var hyphen = fields.Length > 6 ? Array.IndexOf(fields, "-", 6) : -1;
        return hyphen > 0 && fields.Length > hyphen + 2 && fields[2].Contains(':', StringComparison.Ordinal) && fields[4].StartsWith('/')
            ? new(fields[2], ProcText.Unescape(fields[4]), ProcText.Unescape(fields[hyphen + 1]), ProcText.Unescape(fields[hyphen + 2]))
            : null;
    }
}
