using System.Net.Sockets;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Linux;

public sealed class AccessTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kvmswitch-access-");

    private string SocketPath => Path.Combine(_directory.FullName, "socket");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task The_peer_of_a_unix_socket_is_known()
    {
        using var listener = Listen();
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath));
        using var accepted = await listener.AcceptAsync();

        var peer = PeerCredentials.Of(accepted);

        Assert.Equal((Environment.ProcessId, Libc.GetEffectiveUserId()), (peer.Pid, peer.Uid));
    }

    [Fact]
    public void A_socket_without_a_peer_has_no_credentials()
    {
        using var alone = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        Assert.Throws<SocketException>(() => PeerCredentials.Of(alone));
    }

    [Fact]
    public void Groups_are_found_by_name()
    {
        Assert.Equal(new UnixGroup("root", 0), UnixGroup.Find("root"));
        Assert.Null(UnixGroup.Find("no-such-group"));
        Assert.Null(UnixGroup.Find("roo"));
    }

    [Fact]
    public void A_socket_is_given_to_a_group()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "giving a file to a group needs root");
        using var listener = Listen();

        new UnixGroup("some-group", 4242).Own(SocketPath);

        using var stat = System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo("stat", ["-c", "%u:%g", SocketPath]) { UseShellExecute = false, RedirectStandardOutput = true })!;
        Assert.Equal($"{Libc.GetEffectiveUserId()}:4242", stat.StandardOutput.ReadToEnd().Trim());
    }

    [Fact]
    public void A_missing_socket_is_told_by_name()
    {
        var error = Assert.Throws<IOException>(() => new UnixGroup("root", 0).Own(SocketPath));

        Assert.Contains(SocketPath, error.Message, StringComparison.Ordinal);
    }

    private Socket Listen()
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        listener.Listen();
        return listener;
    }
}
