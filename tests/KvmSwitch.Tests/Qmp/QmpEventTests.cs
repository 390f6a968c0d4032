using System.Text;
using System.Text.Json.Nodes;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpEventTests : IAsyncLifetime
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(20);
    private readonly FakeTimeProvider _clock = new();
    private readonly FakeQemu _qemu = FakeQemu.Start(SocketPath.New());
    private QmpClient _client = null!;

    public async ValueTask InitializeAsync() =>
        _client = await QmpClient.ConnectAsync(_qemu.SocketPath, new QmpClientOptions { TimeProvider = _clock });

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _qemu.DisposeAsync();
    }

    [Fact]
    public async Task A_flood_keeps_the_newest_and_counts_the_rest()
    {
        using var small = _client.Listen(capacity: 10);
        using var nothing = _client.Listen(happened => happened.Name == "NEVER", capacity: 1);
        var flood = new StringBuilder();
        for (var number = 1; number <= 5_000; number++)
        {
            flood.Append("{\"event\":\"N\",\"data\":{\"n\":\"").Append(number).Append("\"}}\r\n");
        }

        await _qemu.SayAsync(flood.ToString());
        await _client.QueryStatusAsync();
        Assert.Equal(4_990, small.Dropped);
        Assert.Equal(0, nothing.Dropped);
        var kept = new List<string?>();
        await foreach (var happened in small.ReadAllAsync())
        {
            kept.Add(happened.Text("n"));
            if (kept.Count == 10)
            {
                break;
            }
        }

        Assert.Equal(Enumerable.Range(4_991, 10).Select(number => $"{number}"), kept);
    }

    [Fact]
    public async Task Every_listener_gets_every_event()
    {
        using var one = _client.Listen();
        using var other = _client.Listen();
        await _qemu.RaiseAsync("RESET", new JsonObject { ["guest"] = true });
        Assert.True((await one.WaitForAsync(_ => true, _patience)).Data.GetProperty("guest").GetBoolean());
        Assert.Equal("RESET", (await other.WaitForAsync(_ => true, _patience)).Name);
    }

    [Fact]
    public async Task Waiting_ends_at_the_deadline_on_our_clock()
    {
        using var listener = _client.Listen();
        var waiting = listener.WaitForAsync(happened => happened.Name == "RESET", TimeSpan.FromSeconds(5));
        await _qemu.RaiseAsync("STOP");
        await _client.QueryStatusAsync();
        _clock.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(waiting.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(0.2));
        var e = await Assert.ThrowsAsync<QmpTimeoutException>(() => waiting);
        Assert.Null(e.Command);
    }

    [Fact]
    public async Task A_caller_may_stop_waiting()
    {
        using var listener = _client.Listen();
        using var stop = new CancellationTokenSource();
        var waiting = listener.WaitForAsync(_ => true, _patience, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task A_broken_filter_ends_its_own_listener_alone()
    {
        using var broken = _client.Listen(_ => throw new InvalidDataException("broken"));
        using var sound = _client.Listen();
        await _qemu.RaiseAsync("RESET");
        await sound.WaitForAsync(happened => happened.Name == "RESET", _patience);
        await Assert.ThrowsAsync<InvalidDataException>(() => broken.WaitForAsync(_ => true, _patience));
    }

    [Fact]
    public async Task A_listener_that_was_disposed_ends_its_readers()
    {
        var listener = _client.Listen();
        var waiting = listener.WaitForAsync(_ => true, _patience);
        listener.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
    }

    [Fact]
    public async Task Events_before_the_end_are_read_before_the_reason()
    {
        using var listener = _client.Listen();
        await _qemu.GuestShutdownAsync();
        var reason = await _client.Disconnected.WaitAsync(_patience);
        Assert.Equal("SHUTDOWN", (await listener.WaitForAsync(_ => true, _patience)).Name);
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => listener.WaitForAsync(_ => true, _patience)));
    }

    [Fact]
    public async Task A_panic_is_told_and_shows_in_the_state()
    {
        using var listener = _client.Listen();
        await _qemu.GuestPanicAsync();
        Assert.Equal("GUEST_PANICKED", (await listener.WaitForAsync(_ => true, _patience)).Name);
        Assert.Equal(QmpRunState.GuestPanicked, (await _client.QueryStatusAsync()).State);
    }
}
