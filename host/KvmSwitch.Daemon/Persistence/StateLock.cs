using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Persistence;

/// <summary>
/// One daemon for one state directory: a second one would write down what it believes over what the first one knows. Held by flock(2),
/// so a daemon that was killed holds nothing.
/// </summary>
internal sealed class StateLock : IDisposable
{
    // EAGAIN: how .NET reports a file that another process has locked.
    private const int WouldBlock = 11;

    private readonly FileStream _file;

    private StateLock(FileStream file) => _file = file;

    /// <exception cref="SwitchException">Another daemon has it.</exception>
    /// <exception cref="IOException">The directory can't be written.</exception>
    public static StateLock Take(string directory)
    {
        try
        {
            return new(new(Path.Combine(directory, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException taken) when (taken.HResult == WouldBlock)
        {
            throw new SwitchException(Failure.Refused, $"another kvmswitchd uses {directory} already", taken);
        }
    }

    public void Dispose() => _file.Dispose();
}
