using KvmSwitch.Core;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Guests;

public sealed class LinkTests
{
    [Fact]
    public async Task Hello_is_answered_with_welcome_hotkeys_and_state()
    {
        await using var host = await GuestHost.StartAsync();
        host.Links.PublishState(GuestHost.Win, new() { Devices = { new GuestState.Types.Device { Name = "keyboard", Here = true } } });
        host.Links.PublishHotkeys(GuestHost.Win, new() { Hotkeys = { new HotkeyConfiguration.Types.Hotkey { Chord = "Ctrl+Alt+H" } } });
        using var certificate = await host.PairAsync(GuestHost.Win);
        using var agent = new TestAgent(host.Connect(certificate));
        await agent.SendAsync(new() { Hello = TestAgent.DefaultHello() });

        var welcome = (await agent.NextAsync()).Welcome;
        Assert.Equal(("win", 500u, 2000u, "1.0"), (welcome.Machine, welcome.HeartbeatIntervalMs, welcome.LeaseMs, welcome.Version));
        Assert.Equal("Ctrl+Alt+H", Assert.Single((await agent.NextAsync()).Hotkeys.Hotkeys).Chord);
        Assert.Equal("keyboard", Assert.Single((await agent.NextAsync()).State.Devices).Name);
        var info = host.Links.Info(GuestHost.Win)!;
        Assert.Equal(("1.2", "Test OS", certificate.SerialNumber.ToLowerInvariant()), (info.Version, info.OperatingSystem, info.CertificateId));
        Assert.Null(host.Links.Info(GuestHost.Mac));
    }

    [Fact]
    public async Task Heartbeats_are_answered_and_told_and_the_lease_follows_them()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        Assert.Equal("connected win 1", await host.Listener.NextAsync());
        Assert.Equal("heartbeat win 1", await host.Listener.NextAsync());
        Assert.True(host.Links.IsLive(GuestHost.Win));

        host.Time.Advance(GuestHost.Lease + TimeSpan.FromMilliseconds(1));
        Assert.False(host.Links.IsLive(GuestHost.Win));
        await agent.BeatAsync(7);

        Assert.Equal(7u, (await agent.NextAsync(HostMessage.MessageOneofCase.HeartbeatReply)).HeartbeatReply.Sequence);
        Assert.Equal("heartbeat win 1", await host.Listener.NextAsync());
        Assert.True(host.Links.IsLive(GuestHost.Win));

        await agent.CloseAsync();
        Assert.Equal("gone win 1", await host.Listener.NextAsync());
        Assert.False(host.Links.IsLive(GuestHost.Win));
    }

    [Fact]
    public async Task Of_many_states_the_agent_gets_the_latest()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        for (var i = 0; i <= 1000; i++) host.Links.PublishState(GuestHost.Win, new() { Devices = { new GuestState.Types.Device { Name = $"d{i}" } } });

        var seen = 1;
        while ((await agent.NextAsync(HostMessage.MessageOneofCase.State)).State.Devices is not [{ Name: "d1000" }]) seen++;
        Assert.InRange(seen, 1, 1001);
    }

    [Fact]
    public async Task A_request_reaches_the_listener_and_its_end_the_agent()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        host.Listener.OnRequest = action => action.Verb == GuestAction.Types.Verb.Return
            ? Task.CompletedTask
            : Task.FromException(new SwitchException(Failure.Refused, "win may not ask for 'audio'"));

        await agent.SendAsync(Request(1, GuestAction.Types.Verb.Return, "keyboard"));
        var done = (await agent.NextAsync(HostMessage.MessageOneofCase.Reply)).Reply;
        await agent.SendAsync(Request(2, GuestAction.Types.Verb.Request, "audio"));
        var refused = (await agent.NextAsync(HostMessage.MessageOneofCase.Reply)).Reply;

        Assert.Equal((1u, true, ""), (done.Id, done.Ok, done.Error));
        Assert.Equal((2u, false, "win may not ask for 'audio'"), (refused.Id, refused.Ok, refused.Error));
        await host.Listener.WaitForAsync("request win Return keyboard hotkey");
        await host.Listener.WaitForAsync("request win Request audio hotkey");
    }

    [Fact]
    public async Task A_guest_asks_for_one_thing_at_a_time_and_seldom()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        var release = new TaskCompletionSource();
        host.Listener.OnRequest = _ => release.Task;

        for (var id = 1u; id <= 6; id++) await agent.SendAsync(Request(id, GuestAction.Types.Verb.Return));
        var replies = new List<GuestReply>();
        for (var id = 2; id <= 6; id++) replies.Add((await agent.NextAsync(HostMessage.MessageOneofCase.Reply)).Reply);

        Assert.Equal([2u, 3u, 4u, 5u, 6u], replies.Select(r => (uint)r.Id));
        Assert.All(replies[..4], r => Assert.Contains("busy", r.Error, StringComparison.Ordinal));
        Assert.Contains("too often", replies[4].Error, StringComparison.Ordinal);
        release.SetResult();
        Assert.True((await agent.NextAsync(HostMessage.MessageOneofCase.Reply)).Reply is { Id: 1, Ok: true });
    }

    [Fact]
    public async Task A_request_that_makes_no_sense_is_answered_and_goes_no_further()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        host.Listener.OnRequest = _ => throw new InvalidOperationException("must not be reached");

        await agent.SendAsync(Request(1, (GuestAction.Types.Verb)77));
        await agent.SendAsync(new() { Request = new() { Id = 2 } });
        await agent.SendAsync(Request(3, GuestAction.Types.Verb.Return, new string('x', 65)));
        await agent.SendAsync(Request(4, GuestAction.Types.Verb.Return, [.. Enumerable.Repeat("a", 65)]));

        for (var id = 1u; id <= 4; id++)
        {
            var reply = (await agent.NextAsync(HostMessage.MessageOneofCase.Reply)).Reply;
            Assert.Equal((id, false), ((uint)reply.Id, reply.Ok));
            Assert.DoesNotContain("failed", reply.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_unexpected_failure_of_a_request_is_answered_without_its_details()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        host.Log.Expected.Add(2005);
        host.Listener.OnRequest = _ => throw new InvalidOperationException("secret");
        await agent.SendAsync(Request(1, GuestAction.Types.Verb.Return));
        Assert.Equal("The host failed to do that; its log tells why.", (await agent.NextAsync(HostMessage.MessageOneofCase.Reply)).Reply.Error);
    }

    [Fact]
    public async Task Shutdown_is_asked_only_of_a_live_agent_that_can()
    {
        await using var host = await GuestHost.StartAsync();
        Assert.False(host.Links.TryRequestShutdown(GuestHost.Win));
        using var poor = await host.LinkAsync(await host.PairAsync(GuestHost.Mac), new() { Version = "0.1" });
        Assert.False(host.Links.TryRequestShutdown(GuestHost.Mac));
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));

        Assert.True(host.Links.TryRequestShutdown(GuestHost.Win));
        await agent.NextAsync(HostMessage.MessageOneofCase.Shutdown);
    }

    private static AgentMessage Request(uint id, GuestAction.Types.Verb verb, params string[] targets) =>
        new() { Request = new() { Id = id, Action = new() { Verb = verb, Targets = { targets } }, Gesture = "hotkey" } };
}
