using System.Net.Sockets;
using System.Text;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KvmSwitch.Daemon.Control;

/// <summary>The user at the other end of the Unix socket, as the kernel tells it (unix(7), SO_PEERCRED).</summary>
internal sealed record CallerIdentity(int Pid, long Uid);

/// <summary>The Unix socket: who may open it (its group), and who is speaking on it.</summary>
internal static partial class ControlEndpoint
{
    public const string Group = "kvmswitch";
    private const int MaxSocketPath = 107;

    /// <param name="path">A path that was claimed.</param>
    public static void ListenForControl(this KestrelServerOptions options, string path) => options.ListenUnixSocket(path, listen =>
    {
        listen.Protocols = HttpProtocols.Http2;
        listen.Use(next => connection => IdentifyAsync(connection, next));
    });

    /// <summary>Removes the socket that a dead daemon left.</summary>
    /// <exception cref="SwitchException">The path is too long for a Unix socket, another daemon serves it, or something else is there.</exception>
    public static void Claim(string path)
    {
        if (Encoding.UTF8.GetByteCount(path) > MaxSocketPath)
            throw new SwitchException(Failure.Usage, $"the socket path {path} is longer than the {MaxSocketPath} bytes that Linux allows; choose a shorter one with --socket");
        if (!File.Exists(path)) return;
        if (!IsSocket(path)) throw new SwitchException(Failure.Usage, $"{path} is there already and is no socket; choose another path with --socket");
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            throw new SwitchException(Failure.Refused, $"another kvmswitchd serves {path} already");
        }
        catch (SocketException nobody) when (nobody.SocketErrorCode is SocketError.ConnectionRefused)
        {
            File.Delete(path);
        }
        catch (SocketException unknown)
        {
            throw new SwitchException(Failure.Failed, $"the socket {path} can't be looked at: {unknown.Message}", unknown);
        }
    }

    /// <summary>Once it listens: root's daemon opens it to the group. Anybody else's stays its owner's, as their group may be everybody's.</summary>
    public static void OpenToGroup(string path, ILogger log)
    {
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        if (Environment.IsPrivilegedProcess && UnixGroup.Find(Group) is { } group)
        {
            group.Own(path);
            File.SetUnixFileMode(path, Owner | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
            return;
        }

        File.SetUnixFileMode(path, Owner);
        LogNoGroup(log, Group);
    }

    private static async Task IdentifyAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
        {
            connection.Abort();
            return;
        }

        var peer = PeerCredentials.Of(socket);
        connection.Features.Set(new CallerIdentity(peer.Pid, peer.Uid));
        await next(connection);
    }

    private static bool IsSocket(string path)
    {
        try
        {
            // For both: a pipe would wait for its other end.
            using var opened = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            return false;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // A socket can't be opened (open(2), ENXIO). What may not be opened tells more when it is connected to.
            return true;
        }
    }

    [LoggerMessage(1210, LogLevel.Information, "The control socket is open to its owner only: there is no group '{Group}', or the daemon isn't root")]
    private static partial void LogNoGroup(ILogger log, string group);
}
