using System.Net.Sockets;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Control;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

public sealed class ControlEndpointTests : IDisposable
{
    private readonly Folder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Where_nothing_is_nothing_is_done() => ControlEndpoint.Claim(_folder["control.sock"]);

    [Fact]
    public void The_socket_of_a_dead_daemon_is_removed()
    {
        var path = _folder["control.sock"];
        using var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        dead.Bind(new UnixDomainSocketEndPoint(path));

        ControlEndpoint.Claim(path);

        Assert.False(File.Exists(path));
    }

    [Fact]
    public void The_socket_of_a_living_daemon_stays()
    {
        var path = _folder["control.sock"];
        using var alive = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        alive.Bind(new UnixDomainSocketEndPoint(path));
        alive.Listen();

        var refusal = Assert.Throws<SwitchException>(() => ControlEndpoint.Claim(path));

        Assert.Equal(Failure.Refused, refusal.Failure);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public void A_file_of_somebody_is_never_removed()
    {
        var path = _folder.Write("precious", "text");
        var refusal = Assert.Throws<SwitchException>(() => ControlEndpoint.Claim(path));
        Assert.Contains("is no socket", refusal.Message, StringComparison.Ordinal);
        Assert.Equal("text", File.ReadAllText(path));
    }

    [Fact]
    public void A_path_that_Linux_would_cut_off_is_misuse()
    {
        var refusal = Assert.Throws<SwitchException>(() => ControlEndpoint.Claim("/" + new string('x', 107)));
        Assert.Equal(Failure.Usage, refusal.Failure);
        ControlEndpoint.Claim("/" + new string('x', 106));
    }
}
