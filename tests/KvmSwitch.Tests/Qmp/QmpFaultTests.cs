using System.Text.Json.Nodes;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpFaultTests : IAsyncLifetime
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
    public async Task A_late_answer_is_dropped_and_the_next_command_gets_its_own()
    {
        var held = new TaskCompletionSource();
        _qemu.Next("query-status", new FakeFault.AnswerAfter(held.Task));
        var late = _client.ExecuteAsync("query-status", deadline: TimeSpan.FromSeconds(3));
        _clock.Advance(TimeSpan.FromSeconds(3.1));
        var e = await Assert.ThrowsAsync<QmpTimeoutException>(() => late);
        Assert.Equal(("query-status", TimeSpan.FromSeconds(3)), (e.Command, e.Deadline));
        held.SetResult();
        Assert.Equal(new Version(7, 2, 22), (await _client.QueryVersionAsync()).Version);
        Assert.Equal(1, _client.IgnoredReplies);
    }

    [Fact]
    public async Task A_command_that_is_never_answered_ends_at_its_deadline_and_not_before()
    {
        _qemu.Next("stop", new FakeFault.NeverAnswer());
        var waiting = _client.StopAsync();
        _clock.Advance(TimeSpan.FromSeconds(9.9));
        Assert.False(waiting.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(0.2));
        await Assert.ThrowsAsync<QmpTimeoutException>(() => waiting);
        Assert.False((await _client.QueryStatusAsync()).Running);
    }

    [Fact]
    public async Task Answers_twice_and_under_strange_ids_are_counted_and_harm_nobody()
    {
        _qemu.Next("query-version", new FakeFault.AnswerTwice());
        await _client.QueryVersionAsync();
        foreach (var id in new[] { "strange", null })
        {
            _qemu.Next("query-version", new FakeFault.AnswerUnderId(id));
            var waiting = _client.QueryVersionAsync();
            Assert.True((await _client.QueryStatusAsync()).Running);
            Assert.False(waiting.IsCompleted);
            _clock.Advance(TimeSpan.FromSeconds(11));
            await Assert.ThrowsAsync<QmpTimeoutException>(() => waiting);
        }

        Assert.Equal(3, _client.IgnoredReplies);
    }

    [Theory]
    [InlineData("garbage\r\n")]
    [InlineData("{}\r\n")]
    [InlineData("{\"QMP\":{\"version\":{\"qemu\":{\"major\":8,\"minor\":0,\"micro\":0}}}}\r\n")]
    [InlineData("{\"error\":{\"class\":\"GenericError\",\"desc\":\"JSON parse error\"}}\r\n")]
    public async Task A_peer_that_lies_ends_the_session_for_everyone_with_one_reason(string lie)
    {
        using var listener = _client.Listen();
        var event1 = listener.WaitForAsync(_ => true, _patience);
        _qemu.Next("stop", new FakeFault.NeverAnswer());
        var stop = _client.StopAsync();
        _qemu.Next("query-version", new FakeFault.Say(lie));
        var version = _client.QueryVersionAsync();
        var reason = await _client.Disconnected.WaitAsync(_patience);
        Assert.IsType<QmpProtocolException>(reason.InnerException);
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => version));
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => stop));
        Assert.Equal("STOP", (await event1).Name);
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => listener.WaitForAsync(_ => true, _patience)));
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => _client.StopAsync()));
        using var after = _client.Listen();
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => after.WaitForAsync(_ => true, _patience)));
        await _client.DisposeAsync();
        Assert.Same(reason, await _client.Disconnected);
    }

    [Fact]
    public async Task Empty_lines_are_skipped()
    {
        await _qemu.SayAsync("\r\n \t\r\n\n");
        Assert.True((await _client.QueryStatusAsync()).Running);
    }

    [Fact]
    public async Task A_line_without_end_ends_the_session()
    {
        var options = new QmpClientOptions { MaxLineBytes = 100_000 };
        await _client.DisposeAsync();
        await using var client = await QmpClient.ConnectAsync(_qemu.SocketPath, options);
        await _qemu.SayAsync(new string('x', 150_000));
        var reason = await client.Disconnected.WaitAsync(_patience);
        Assert.Contains("100000 bytes", reason.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_that_stops_reading_ends_the_session_at_the_write_deadline()
    {
        await _client.DisposeAsync();
        var options = new QmpClientOptions { WriteDeadline = TimeSpan.FromMilliseconds(200) };
        await using var client = await QmpClient.ConnectAsync(_qemu.SocketPath, options);
        _qemu.Next("stop", new FakeFault.AnswerAfter(new TaskCompletionSource().Task));
        var stop = client.StopAsync();
        var big = client.ExecuteAsync("big", new JsonObject { ["text"] = new string('x', 8_000_000) });
        var reason = await client.Disconnected.WaitAsync(_patience);
        Assert.Contains("did not read", reason.Message, StringComparison.Ordinal);
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => stop));
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => big));
    }

    [Fact]
    public async Task A_descriptor_waits_its_turn_behind_a_full_socket()
    {
        var held = new TaskCompletionSource();
        _qemu.Next("query-status", new FakeFault.AnswerAfter(held.Task));
        var status = _client.QueryStatusAsync();
        var refused = Enumerable.Range(0, 30).Select(_ => Assert.ThrowsAsync<QmpCommandException>(
            () => _client.ExecuteAsync("big", new JsonObject { ["text"] = new string('x', 50_000) }))).ToList();
        using var file = File.OpenHandle("/dev/null");
        var added = _client.AddFdAsync(file, 3);
        file.Dispose();
        Assert.False(added.IsCompleted);
        held.SetResult();
        await status;
        await Task.WhenAll(refused);
        Assert.Equal(3, (await added).FdSetId);
        Assert.Equal([3], _qemu.FdSets);
    }

    [Fact]
    public async Task A_command_abandoned_before_its_turn_is_never_sent()
    {
        var held = new TaskCompletionSource();
        _qemu.Next("query-status", new FakeFault.AnswerAfter(held.Task));
        var status = _client.QueryStatusAsync();
        var big = Assert.ThrowsAsync<QmpCommandException>(
            () => _client.ExecuteAsync("big", new JsonObject { ["text"] = new string('x', 4_000_000) }));
        using var impatient = new CancellationTokenSource();
        var abandoned = _client.StopAsync(impatient.Token);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => abandoned);
        held.SetResult();
        await status;
        await big;
        await _client.QueryStatusAsync();
        Assert.DoesNotContain(_qemu.Commands, command => command.Name == "stop");
    }

    [Fact]
    public async Task A_closed_descriptor_fails_its_command_alone()
    {
        var file = File.OpenHandle("/dev/null");
        file.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _client.AddFdAsync(file));
        Assert.True((await _client.QueryStatusAsync()).Running);
    }

    [Fact]
    public async Task Disposing_ends_what_waits_and_lets_the_next_client_in()
    {
        _qemu.Next("stop", new FakeFault.NeverAnswer());
        var waiting = _client.StopAsync();
        await _client.DisposeAsync();
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => waiting);
        await using var next = await QmpClient.ConnectAsync(_qemu.SocketPath);
        await next.QueryStatusAsync();
    }
}
