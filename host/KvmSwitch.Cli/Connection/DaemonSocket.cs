using System.Net.Sockets;
using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Cli.Connection;

/// <summary>A connection to the daemon's Unix socket.</summary>
internal static class DaemonSocket
{
    // Connecting waits only where the daemon hangs and its queue is full.
    private static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(5);

    /// <param name="path">The daemon's socket.</param>
    /// <exception cref="CliException">Nobody listens there, or we may not talk to it.</exception>
    public static Socket Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { SendTimeout = (int)SendTimeout.TotalMilliseconds };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return socket;
        }
        catch (SocketException failure)
        {
            socket.Dispose();
            throw Describe(failure, path);
        }
    }

    internal static CliException Describe(SocketException failure, string path) => failure.SocketErrorCode switch
    {
        SocketError.AccessDenied => new CliException(
            ExitCode.Refused,
            $"no permission to use {path}: join the group 'kvmswitch' ('sudo usermod -aG kvmswitch $USER', then log in again)",
            failure),
        // ENOENT arrives as AddressNotAvailable; ENOTDIR and the like have no code of their own.
        SocketError.ConnectionRefused or SocketError.AddressNotAvailable or SocketError.SocketError => new CliException(
            ExitCode.NoDaemon,
            $"the daemon is not running: nothing listens at {path}; {WayToStart(path)}",
            failure),
        _ => new CliException(ExitCode.NoDaemon, $"the daemon can't be reached at {path}: {failure.Message}", failure),
    };

    private static string WayToStart(string path) => path == GlobalOptions.DefaultSocket
        ? "start it with 'sudo systemctl start kvmswitchd'"
        : "start kvmswitchd with this socket, or name another one with --socket";
}
