using System.ComponentModel;
using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Cli.Connection;

/// <summary>A connection to the daemon's Unix socket.</summary>
internal static class DaemonSocket
{
    // Connecting waits only where the daemon hangs and its queue is full.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <param name="path">The daemon's socket.</param>
    /// <exception cref="CliException">Nobody listens there, or we may not talk to it.</exception>
    public static UnixSocket Connect(string path)
    {
        try
        {
            return new UnixSocket(path, Patience);
        }
        catch (Win32Exception failure)
        {
            throw Describe(failure, path);
        }
    }

    internal static CliException Describe(Win32Exception failure, string path) => failure.NativeErrorCode switch
    {
        Errno.NoAccess => new CliException(
            ExitCode.Refused,
            $"no permission to use {path}: join the group 'kvmswitch' ('sudo usermod -aG kvmswitch $USER', then log in again)",
            failure),
        Errno.ConnectionRefused or Errno.NoEntry or Errno.NoDirectory => new CliException(
            ExitCode.NoDaemon,
            $"the daemon is not running: nothing listens at {path}; {WayToStart(path)}",
            failure),
        _ => new CliException(ExitCode.NoDaemon, $"the daemon can't be reached at {path}: {failure.Message}", failure),
    };

    private static string WayToStart(string path) => path == GlobalOptions.DefaultSocket
        ? "start it with 'sudo systemctl start kvmswitchd'"
        : "start kvmswitchd with this socket, or name another one with --socket";
}
