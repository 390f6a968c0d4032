using System.Text;

namespace KvmSwitch.Linux;

public enum ProcessSignal
{
    Kill = 9,
    Terminate = 15,
}

/// <summary>One running process, held so that another one which got its number can never be meant. Disposing it leaves the process alone.</summary>
public sealed class ProcessHandle : IDisposable
{
    private static readonly TimeSpan ArgumentsDeadline = TimeSpan.FromMilliseconds(50);
    private readonly PidFd _process;
    private readonly bool _isChild;
    private readonly CancellationTokenSource _disposed = new();

    private ProcessHandle(int pid, PidFd process, bool isChild)
    {
        Pid = pid;
        _process = process;
        _isChild = isChild;
        Exited = WatchAsync();
    }

    public int Pid { get; }

    /// <summary>
    /// Completes when the process has ended: with its exit code (128 and the signal's number when a signal ended it), or with null
    /// when we are not its parent, as nobody else is told the code. Cancelled by <see cref="Dispose"/> when we are not its parent.
    /// </summary>
    public Task<int?> Exited { get; }

    /// <summary>Opens a process that someone else started.</summary>
    /// <param name="argument">
    /// Must be one of its arguments, whole: tells that the number still means the process that was remembered. Null where the number
    /// comes from an open connection to the process, and so can't have been used again.
    /// </param>
    /// <returns>Null when there is no such process.</returns>
    /// <exception cref="IOException">The kernel is older than 5.3.</exception>
    public static ProcessHandle? Open(int pid, string? argument)
    {
        var process = PidFd.Open(pid);
        if (process is null) return null;
        // Alive after its arguments were read: so they were this process's, not those of a later one with the same number.
        if ((argument is null || HasArgument(pid, argument)) && process.Exists) return new(pid, process, isChild: false);
        process.Dispose();
        return null;
    }

    /// <summary>False when the process has ended.</summary>
    /// <exception cref="IOException">It belongs to someone else, and we are not root.</exception>
    public bool Signal(ProcessSignal signal) => !Exited.IsCompleted && _process.Signal((int)signal);

    public void Dispose()
    {
        _disposed.Cancel();
        // A child is watched to its end even so, or it would stay as a zombie.
        if (!_isChild || Exited.IsCompleted) _process.Dispose();
    }

    /// <summary>For the parent alone: the process can't vanish before its parent reaps it.</summary>
    internal static ProcessHandle OfChild(int pid) =>
        new(pid, PidFd.Open(pid) ?? throw new IOException($"process {pid} was reaped by someone else"), isChild: true);

    private static bool HasArgument(int pid, string argument)
    {
        // A program that has just been executed has no arguments yet for some microseconds; one that ended, or a kernel thread, never has any.
        var arguments = "";
        SpinWait.SpinUntil(() => (arguments = ReadArguments(pid)).Length > 0, ArgumentsDeadline);
        return arguments.Split('\0').Contains(argument);
    }

    private static string ReadArguments(int pid)
    {
        try
        {
            return Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{pid}/cmdline"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private async Task<int?> WatchAsync()
    {
        await ExitWatch.WaitAsync(_process, _isChild ? CancellationToken.None : _disposed.Token);
        var code = _isChild ? _process.Reap() : null;
        if (_disposed.IsCancellationRequested) _process.Dispose();
        return code;
    }
}
