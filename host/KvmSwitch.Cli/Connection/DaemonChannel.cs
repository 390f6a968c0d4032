using System.Net.Sockets;
using Grpc.Net.Client;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Connection;

/// <summary>gRPC over the daemon's Unix socket.</summary>
internal sealed class DaemonChannel : IDisposable
{
    // A daemon that is stopped or hangs answers no ping; without them a stream would wait for it for ever.
    private static readonly TimeSpan PingAfter = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(5);

    private readonly string path;
    private readonly GrpcChannel channel;
    private Socket? first;

    private DaemonChannel(string path, Socket first, bool pings)
    {
        this.path = path;
        this.first = first;
        channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
        {
            HttpHandler = Handler(pings),
            DisposeHttpClient = true,
        });
        Control = new Control.ControlClient(channel);
    }

    public Control.ControlClient Control { get; }

    /// <summary>Connects at once, so that "nobody listens" is told apart from "went away" by the socket's own error.</summary>
    /// <param name="path">The daemon's socket.</param>
    /// <param name="pings">Ping the daemon while we wait, for calls without a deadline.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CliException">Nobody listens there, or we may not talk to it.</exception>
    public static async Task<DaemonChannel> OpenAsync(string path, bool pings, CancellationToken cancellation)
    {
        try
        {
            return new DaemonChannel(path, await ConnectAsync(path, cancellation), pings);
        }
        catch (SocketException failure)
        {
            throw Describe(failure, path);
        }
    }

    public void Dispose()
    {
        channel.Dispose();
        first?.Dispose();
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

    private static async Task<Socket> ConnectAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private SocketsHttpHandler Handler(bool pings) => new()
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        ActivityHeadersPropagator = null,
        PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        KeepAlivePingDelay = pings ? PingAfter : Timeout.InfiniteTimeSpan,
        KeepAlivePingTimeout = PingTimeout,
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        ConnectCallback = async (_, cancellation) =>
            new NetworkStream(Interlocked.Exchange(ref first, null) ?? await ConnectAsync(path, cancellation), ownsSocket: true),
    };
}
