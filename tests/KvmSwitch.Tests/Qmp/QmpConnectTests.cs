using System.Net.Sockets;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpConnectTests
{
    [Fact]
    public async Task A_path_that_is_too_long_is_told_with_its_length()
    {
        var path = "/tmp/" + new string('x', 103);
        var e = await Assert.ThrowsAsync<QmpConnectException>(() => QmpClient.ConnectAsync(path));
        Assert.Contains("108 bytes", e.Message, StringComparison.Ordinal);
        Assert.Contains("at most 107", e.Message, StringComparison.Ordinal);
        Assert.Equal(path, e.SocketPath);
    }

    [Fact]
    public async Task A_path_of_just_the_limit_works()
    {
        var path = "/tmp/" + Guid.NewGuid().ToString("N").PadRight(102, 'x');
        await using var qemu = FakeQemu.Start(path);
        await using var client = await QmpClient.ConnectAsync(path);
        Assert.Equal(new Version(7, 2, 22), client.Greeting.Version);
    }

    [Fact]
    public async Task An_absent_socket_is_told()
    {
        var e = await Assert.ThrowsAsync<QmpConnectException>(() => QmpClient.ConnectAsync(SocketPath.New()));
        Assert.Contains("There is no QMP socket at", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_socket_that_nobody_serves_any_more_is_told()
    {
        await using var qemu = FakeQemu.Start(SocketPath.New());
        qemu.Kill();
        var e = await Assert.ThrowsAsync<QmpConnectException>(() => QmpClient.ConnectAsync(qemu.SocketPath));
        Assert.Contains("Nothing listens", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_that_never_greets_is_given_up_at_the_deadline_on_our_clock()
    {
        var clock = new FakeTimeProvider();
        await using var qemu = FakeQemu.Start(SocketPath.New(), new FakeQemuOptions { Wire = new FakeWire { Greets = false } });
        var connecting = QmpClient.ConnectAsync(qemu.SocketPath, new QmpClientOptions { TimeProvider = clock });
        clock.Advance(TimeSpan.FromSeconds(9.9));
        Assert.False(connecting.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(0.2));
        var e = await Assert.ThrowsAsync<QmpConnectException>(() => connecting);
        Assert.Contains("another program is probably connected to it", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_that_hangs_after_its_greeting_is_given_up()
    {
        await using var qemu = FakeQemu.Start(SocketPath.New());
        qemu.Always("qmp_capabilities", new FakeFault.NeverAnswer());
        var clock = new FakeTimeProvider();
        var connecting = QmpClient.ConnectAsync(qemu.SocketPath, new QmpClientOptions { TimeProvider = clock });
        await qemu.SeenAsync("qmp_capabilities").WaitAsync(TimeSpan.FromSeconds(20));
        clock.Advance(TimeSpan.FromSeconds(10));
        var e = await Assert.ThrowsAsync<QmpConnectException>(() => connecting);
        Assert.Contains("did not answer qmp_capabilities", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_may_stop_waiting()
    {
        await using var qemu = FakeQemu.Start(SocketPath.New(), new FakeQemuOptions { Wire = new FakeWire { Greets = false } });
        using var stop = new CancellationTokenSource();
        var connecting = QmpClient.ConnectAsync(qemu.SocketPath, null, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);
    }

    [Fact]
    public async Task What_comes_before_the_greeting_is_tolerated()
    {
        const string Early = "\r\n{\"event\":\"RESET\",\"timestamp\":{\"seconds\":1,\"microseconds\":1}}\r\n{\"return\":{},\"id\":\"old\"}\r\n";
        await using var qemu = FakeQemu.Start(SocketPath.New(), new FakeQemuOptions { Wire = new FakeWire { BeforeGreeting = Early } });
        await using var client = await QmpClient.ConnectAsync(qemu.SocketPath);
        Assert.True((await client.QueryStatusAsync()).Running);
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.9\r\n")]
    [InlineData("{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}\n")]
    [InlineData("{\"hello\":1}\n")]
    public async Task A_peer_that_is_not_qemu_is_told(string says)
    {
        await using var qemu = FakeQemu.Start(SocketPath.New(), new FakeQemuOptions { Wire = new FakeWire { BeforeGreeting = says } });
        var e = await Assert.ThrowsAsync<QmpConnectException>(() => QmpClient.ConnectAsync(qemu.SocketPath));
        Assert.IsType<QmpProtocolException>(e.InnerException);
    }

    [Fact]
    public async Task The_peers_process_is_the_one_that_listens()
    {
        await using var qemu = FakeQemu.Start(SocketPath.New());
        await using var client = await QmpClient.ConnectAsync(qemu.SocketPath);
        Assert.Equal(Environment.ProcessId, client.PeerProcessId);
    }

    [Fact]
    public async Task A_full_queue_of_clients_is_told_as_busy()
    {
        var path = SocketPath.New();
        await using var qemu = FakeQemu.Start(path);
        await using var first = await QmpClient.ConnectAsync(path);
        var waiting = new List<Socket>();
        try
        {
            // One more than the backlog of one holds, counted as Linux does.
            for (var count = 0; count < 2; count++)
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                waiting.Add(socket);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
            }

            var options = new QmpClientOptions { ConnectDeadline = TimeSpan.FromMilliseconds(300) };
            var e = await Assert.ThrowsAsync<QmpConnectException>(() => QmpClient.ConnectAsync(path, options));
            Assert.Contains("another program is probably connected to it", e.Message, StringComparison.Ordinal);
        }
        finally
        {
            waiting.ForEach(socket => socket.Dispose());
        }
    }
}
