using System.Net.Sockets;
using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Guests;

/// <summary>Peers that are newer, broken or hostile.</summary>
public sealed class AdversaryTests
{
    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(bytes => bytes, bytes => bytes);

    private static readonly Method<byte[], byte[]> RawLink = new(MethodType.DuplexStreaming, "kvmswitch.v1.Guest", "Link", Bytes, Bytes);

    // Field 900, length-delimited: no message of today has it.
    private static readonly byte[] UnknownField = [0xa2, 0x38, 0x03, 1, 2, 3];

    [Fact]
    public async Task What_a_newer_agent_says_beyond_us_is_ignored()
    {
        await using var host = await GuestHost.StartAsync();
        using var channel = host.Connect(await host.PairAsync(GuestHost.Win));
        using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(RawLink, null, default);
        byte[] hello = [.. new Hello { Version = "9", Abilities = { (Ability)77, Ability.Shutdown } }.ToByteArray(), .. UnknownField];

        await call.RequestStream.WriteAsync([.. new AgentMessage { Hello = Hello.Parser.ParseFrom(hello) }.ToByteArray(), .. UnknownField]);
        await call.RequestStream.WriteAsync(UnknownField);
        await call.RequestStream.WriteAsync([]);
        await call.RequestStream.WriteAsync(new AgentMessage { Sighting = new() { Kind = (DeviceSighting.Types.Kind)9 } }.ToByteArray());
        await call.RequestStream.WriteAsync(new AgentMessage { Heartbeat = new() { Sequence = 5 } }.ToByteArray());

        var replies = new List<HostMessage>();
        do
        {
            Assert.True(await call.ResponseStream.MoveNext(default).WaitAsync(TestAgent.Patience));
            replies.Add(HostMessage.Parser.ParseFrom(call.ResponseStream.Current));
        }
        while (replies[^1].HeartbeatReply?.Sequence != 5);
        Assert.Equal([Ability.Shutdown], host.Links.Info(GuestHost.Win)!.Abilities);
        // Without the ability, no hotkeys.
        Assert.DoesNotContain(replies, r => r.MessageCase == HostMessage.MessageOneofCase.Hotkeys);
    }

    public static TheoryData<string, byte[][], StatusCode> Broken()
    {
        byte[] hello = new AgentMessage { Hello = TestAgent.DefaultHello() }.ToByteArray();
        var crowded = TestAgent.DefaultHello();
        crowded.Devices.AddRange(Enumerable.Range(1, 65).Select(i => new GuestDevice { Key = $"{i}" }));
        var nameless = TestAgent.DefaultHello();
        nameless.Devices.Add(new GuestDevice());
        return new()
        {
            { "garbage at once", [[0xff, 0xff, 0xff, 0xff]], StatusCode.InvalidArgument },
            { "garbage later", [hello, [0x0a, 0x7f, 1]], StatusCode.InvalidArgument },
            { "no hello first", [new AgentMessage { Heartbeat = new() }.ToByteArray()], StatusCode.InvalidArgument },
            { "hello twice", [hello, hello], StatusCode.InvalidArgument },
            { "a device without a key", [new AgentMessage { Hello = nameless }.ToByteArray()], StatusCode.InvalidArgument },
            { "a sighting of nothing", [hello, new AgentMessage { Sighting = new() { Kind = DeviceSighting.Types.Kind.Present } }.ToByteArray()], StatusCode.InvalidArgument },
            { "too many devices", [new AgentMessage { Hello = crowded }.ToByteArray()], StatusCode.ResourceExhausted },
            { "a huge message", [hello, new byte[65 * 1024]], StatusCode.ResourceExhausted },
        };
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task Whoever_breaks_the_rules_is_told_and_cut_off(string what, byte[][] messages, StatusCode expected)
    {
        await using var host = await GuestHost.StartAsync();
        using var channel = host.Connect(await host.PairAsync(GuestHost.Win));
        using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(RawLink, null, default);

        foreach (var message in messages) await WriteAsync(call, message);
        await ReadToEndAsync(call);

        await EventuallyAsync(() => host.Log.Lines.Any(l => l.Event.Id is 2001 or 2002 && l.Text.Contains($"{expected}", StringComparison.Ordinal)), what);
        Assert.False(host.Links.IsLive(GuestHost.Win));
        using var next = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
    }

    [Fact]
    public async Task A_flood_ends_the_link()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        try
        {
            for (var i = 0u; i < 2000; i++) await agent.BeatAsync(i);
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException or IOException)
        {
            Assert.False(host.Links.IsLive(GuestHost.Win));
        }

        await host.Listener.WaitForAsync("gone win 1");
        Assert.Contains("messages a second", await EndOfLinkAsync(host), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_that_never_reads_is_cut_off()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        await host.Listener.WaitForAsync("heartbeat win 1");
        var big = new GuestState { Devices = { new GuestState.Types.Device { Label = new string('x', 60_000) } } };

        var last = "";
        for (var i = 1u; i <= 120 && last != "gone win 1"; i++)
        {
            host.Links.PublishState(GuestHost.Win, big);
            await Task.WhenAny(agent.BeatAsync(i), Task.Delay(TestAgent.Patience));
            last = await host.Listener.NextAsync();
            host.Time.Advance(TimeSpan.FromMilliseconds(500));
        }

        Assert.Equal("gone win 1", last);
        Assert.Contains("doesn't read", await EndOfLinkAsync(host), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_says_no_hello_is_sent_away_after_five_seconds()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = new TestAgent(host.Connect(await host.PairAsync(GuestHost.Win)));
        Assert.Equal(StatusCode.DeadlineExceeded, (await AdvanceUntilAsync(host, agent.EndAsync())).StatusCode);
    }

    [Fact]
    public async Task An_agent_that_falls_silent_loses_its_link_in_the_end()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        Assert.Equal(StatusCode.DeadlineExceeded, (await AdvanceUntilAsync(host, agent.EndAsync())).StatusCode);
        await host.Listener.WaitForAsync("gone win 1");
    }

    [Fact]
    public async Task Strangers_who_hold_on_keep_no_guest_out_and_are_ended()
    {
        await using var host = await GuestHost.StartAsync();
        using var certificate = await host.PairAsync(GuestHost.Win);
        var strangers = new List<TcpClient>();
        for (var i = 0; i < 40; i++)
        {
            var stranger = new TcpClient();
            await stranger.ConnectAsync(host.Endpoint);
            await stranger.GetStream().WriteAsync(i % 2 == 0 ? new byte[] { 0x16, 3, 1 } : "GET / HTTP/1.1\r\n\r\n"u8.ToArray());
            strangers.Add(stranger);
        }

        using var agent = await host.LinkAsync(certificate);
        host.Time.Advance(TimeSpan.FromSeconds(8));
        await agent.SyncAsync();
        host.Time.Advance(TimeSpan.FromSeconds(8));
        foreach (var stranger in strangers)
        {
            await AssertClosedAsync(stranger);
            stranger.Dispose();
        }

        await agent.SyncAsync();
    }

    [Fact]
    public async Task A_stranger_who_knocks_all_day_fills_no_log()
    {
        await using var host = await GuestHost.StartAsync();
        for (var i = 0; i < 50; i++) await Assert.ThrowsAsync<RpcException>(() => host.EnrolAsync(ByteString.Empty));
        Assert.Equal(10, host.Log.Lines.Count(l => l.Event.Id == 2002));
    }

    private static async Task<string> EndOfLinkAsync(GuestHost host)
    {
        await EventuallyAsync(() => host.Log.Lines.Any(l => l.Event.Id == 2001), "no line about the end of the link");
        return host.Log.Lines.Single(l => l.Event.Id == 2001).Text;
    }

    private static async Task<Status> AdvanceUntilAsync(GuestHost host, Task<Status> end)
    {
        for (var seconds = 0; !end.IsCompleted; seconds++)
        {
            Assert.True(seconds < 300, "the link goes on");
            await Task.WhenAny(end, Task.Delay(200));
            host.Time.Advance(TimeSpan.FromSeconds(1));
        }

        return await end;
    }

    private static async Task WriteAsync(AsyncDuplexStreamingCall<byte[], byte[]> call, byte[] message)
    {
        try
        {
            await call.RequestStream.WriteAsync(message);
        }
        catch (Exception e) when (e is RpcException or IOException or InvalidOperationException)
        {
            // The host has hung up already; that is looked at afterwards.
        }
    }

    private static async Task ReadToEndAsync(AsyncDuplexStreamingCall<byte[], byte[]> call)
    {
        await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await call.ResponseStream.MoveNext(default).WaitAsync(TestAgent.Patience))
            {
            }
        });
    }

    private static async Task AssertClosedAsync(TcpClient client)
    {
        try
        {
            var buffer = new byte[256];
            while (await client.GetStream().ReadAsync(buffer).AsTask().WaitAsync(TestAgent.Patience) > 0)
            {
            }
        }
        catch (IOException)
        {
            Assert.Equal(0, client.Available);
        }
    }

    private static async Task EventuallyAsync(Func<bool> condition, string what)
    {
        for (var i = 0; !condition(); i++)
        {
            Assert.True(i < 400, what);
            await Task.Delay(50);
        }
    }
}
