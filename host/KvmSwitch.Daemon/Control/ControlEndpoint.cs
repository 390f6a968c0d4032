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

    /// <exception cref="SwitchException">The path is too long for a Unix socket, or another daemon serves it.</exception>
    public static void ListenForControl(this KestrelServerOptions options, string path)
    {
        Claim(path);
        options.ListenUnixSocket(path, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.Use(next => connection => IdentifyAsync(connection, next));
        });
    }

    /// <summary>Once it listens: for root's daemon, the group may connect; otherwise only the user who runs it.</summary>
    public static void OpenToGroup(string path, ILogger log)
    {
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
        if (UnixGroup.Find(Group) is { } group && Environment.IsPrivilegedProcess) group.Own(path);
        else LogNoGroup(log, Group);
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

    private static void Claim(string path)
    {
        if (Encoding.UTF8.GetByteCount(path) > MaxSocketPath)
            throw new SwitchException(Failure.Usage, $"the socket path {path} is longer than the {MaxSocketPath} bytes that Linux allows; choose a shorter one with --socket");
        if (!File.Exists(path)) return;
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
    }

    [LoggerMessage(1210, LogLevel.Information, "The control socket is open to its owner's group only: there is no group '{Group}', or the daemon isn't root")]
    private static partial void LogNoGroup(ILogger log, string group);
}
