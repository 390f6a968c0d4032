namespace KvmSwitch.Cli;

/// <summary>Why a system call failed (errno(3); the numbers of x86-64).</summary>
internal static class Errno
{
    public const int NoEntry = 2, Interrupted = 4, WouldBlock = 11, NoAccess = 13, NoDirectory = 20, BrokenPipe = 32, ConnectionRefused = 111;
}
