using System.Globalization;
using System.Text;
using KvmSwitch.Agent.Enrolment;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Agent.Linux;

/// <summary>
/// Join files on the file systems of drives that are mounted (proc(5), /proc/self/mounts). What is not mounted is not looked at: mounting is the
/// system's and its user's, and reading a file system ourselves would trust the drive too much.
/// </summary>
internal sealed class MountedDrives : IJoinOffers, IDisposable
{
    public const string MountTable = "/proc/self/mounts";

    // Urgent data: what the kernel raises, with an error, when the table has changed.
    private const short Changed = 2;

    private readonly string table;
    private readonly SafeFileHandle? mounts;

    public MountedDrives(string table = MountTable) => (this.table, mounts) = (table, Native.TryOpenForReading(table));

    public string Places => "mounted drives (a disc that is not mounted is not seen: mount it first)";

    public IReadOnlyList<JoinOffer> Look()
    {
        try
        {
            return [.. Roots(File.ReadAllText(table)).Select(JoinFile.Read).OfType<JoinOffer>()];
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    public Task NextChangeAsync(CancellationToken cancellationToken) => mounts is null
        ? Task.Delay(Timeout.Infinite, cancellationToken)
        : Task.Factory.StartNew(() => Wait(mounts, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public void Dispose() => mounts?.Dispose();

    /// <summary>Where block devices are mounted. Others (network, kernel, programs of users) are no drives.</summary>
    internal static IEnumerable<string> Roots(string mounts) => mounts.Split('\n')
        .Select(line => line.Split(' '))
        .Where(fields => fields is [var device, _, var kind, ..] && device.StartsWith("/dev/", StringComparison.Ordinal) && !kind.StartsWith("fuse.", StringComparison.Ordinal))
        .Select(fields => Unescape(fields[1]))
        .Distinct(StringComparer.Ordinal);

    /// <summary>Blanks in a path are written as octal numbers: <c>\040</c>.</summary>
    private static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal))
            return field;
        var bytes = new List<byte>();
        for (var index = 0; index < field.Length; index++)
        {
            if (field[index] == '\\' && index + 3 < field.Length && TryOctal(field.AsSpan(index + 1, 3), out var value))
            {
                bytes.Add(value);
                index += 3;
            }
            else
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(field[index].ToString(CultureInfo.InvariantCulture)));
            }
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    private static bool TryOctal(ReadOnlySpan<char> digits, out byte value)
    {
        var number = 0;
        foreach (var digit in digits)
        {
            if (digit is < '0' or > '7')
            {
                value = 0;
                return false;
            }

            number = (number * 8) + (digit - '0');
        }

        value = (byte)number;
        return number <= byte.MaxValue;
    }

    private static void Wait(SafeFileHandle mounts, CancellationToken cancellationToken)
    {
        using var wake = Native.OpenEventCounter();
        using var cancelled = cancellationToken.Register(() => Native.Raise(wake));
        Native.PollEntry[] entries =
        [
            new() { Descriptor = (int)mounts.DangerousGetHandle(), Events = Changed },
            new() { Descriptor = (int)wake.DangerousGetHandle(), Events = Native.PollIn },
        ];
        Native.Poll(entries);
        cancellationToken.ThrowIfCancellationRequested();
    }
}
