using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Agent.Link;
using KvmSwitch.Proto.V1;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using Kind = KvmSwitch.Proto.V1.AgentMessage.MessageOneofCase;

namespace KvmSwitch.Tests.Agent;

public sealed class LinkTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly AttachedDevice Keyboard = new("1-2", 0x627, 1, "42", "0000:00:04.0", "2", Ready: true, "QEMU USB Keyboard", 3);

    private readonly TestCa ca = new();
    private readonly TemporaryDirectory state = new();

    private IdentityStore Store => new(state.Path);

    [Fact]
    public async Task An_agent_says_hello_with_all_devices_and_reports_changes()
    {
        await using var host = await StartPairedAsync();
        var devices = new DeviceFeed();
        devices.Publish(new([Keyboard]));
        await using var agent = new RunningAgent(Store, devices: devices);
        var link = await host.Service.NextLinkAsync();

        var hello = (await link.NextAsync(Kind.Hello)).Hello;
        Assert.Equal("1.2.3", hello.Version);
        Assert.Equal("Test OS", hello.OperatingSystem);
        Assert.Equal([Ability.Sightings, Ability.Hotkeys, Ability.Shutdown, Ability.PciSightings, Ability.ScsiSightings], hello.Abilities);
        var device = Assert.Single(hello.Devices);
        Assert.Equal(("1-2", 0x627u, 1u, "42", "0000:00:04.0", "2", true, "QEMU USB Keyboard"),
            (device.Key, device.VendorId, device.ProductId, device.Serial, device.Controller, device.Port, device.Ready, device.Product));

        devices.Publish(DeviceSnapshot.Empty);
        var gone = (await link.NextAsync(Kind.Sighting)).Sighting;
        Assert.Equal((DeviceSighting.Types.Kind.Gone, "1-2"), (gone.Kind, gone.Device.Key));
        devices.Publish(new([Keyboard with { Ready = false }]));
        Assert.False((await link.NextAsync(Kind.Sighting)).Sighting.Device.Ready);
        devices.Publish(new([Keyboard]));
        Assert.True((await link.NextAsync(Kind.Sighting)).Sighting.Device.Ready);
    }

    [Fact]
    public async Task Heartbeats_count_up_from_one_and_the_link_stays_while_they_are_answered()
    {
        await using var host = await StartPairedAsync(new() { Machine = "win", HeartbeatIntervalMs = 20, LeaseMs = 2000 });
        await using var agent = new RunningAgent(Store);
        var link = await host.Service.NextLinkAsync();
        for (ulong expected = 1; expected <= 20; expected++)
            Assert.Equal(expected, (await link.NextAsync(Kind.Heartbeat)).Heartbeat.Sequence);
        Assert.Equal(1, host.Service.Attempts);
    }

    [Fact]
    public async Task A_silent_host_is_left_after_the_lease_and_linked_to_again()
    {
        await using var host = await StartPairedAsync(new() { Machine = "win", HeartbeatIntervalMs = 50, LeaseMs = 300 });
        await using var agent = new RunningAgent(Store);
        var first = await host.Service.NextLinkAsync();
        first.Answers = false;
        await agent.Journal.ExpectAsync("Lost the host: the host is silent");
        var second = await host.Service.NextLinkAsync();
        await second.NextAsync(Kind.Hello);
    }

    [Fact]
    public async Task A_link_that_is_cut_is_made_again_and_each_change_of_state_is_one_line()
    {
        await using var host = await StartPairedAsync();
        await using var agent = new RunningAgent(Store);
        for (var round = 0; round < 3; round++)
        {
            var link = await host.Service.NextLinkAsync();
            await link.NextAsync(Kind.Heartbeat);
            link.Cut();
        }

        await host.Service.NextLinkAsync();
        Assert.InRange(agent.Journal.All.Count(line => line.StartsWith("Linked to", StringComparison.Ordinal)), 3, 4);
        Assert.Equal(3, agent.Journal.All.Count(line => line.StartsWith("Lost the host", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_host_that_starts_late_is_found_and_the_waiting_is_one_line()
    {
        var port = await FreePortAsync();
        Pair(ca, $"127.0.0.1:{port}");
        var time = new FakeTimeProvider();
        await using var agent = new RunningAgent(Store, time);
        await agent.Journal.ExpectAsync("Can't reach the host");
        time.Advance(BackOff.Longest);
        await using var host = await TestHost.StartAsync(ca, port: port);
        // In small steps, so that a busy machine has the time that the agent gives a host to answer.
        await AdvanceUntilAsync(time, host.Service.NextLinkAsync(), TimeSpan.FromMilliseconds(20));
        Assert.Single(agent.Journal.All, line => line.StartsWith("Can't reach the host", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Addresses_are_tried_in_turn()
    {
        await using var host = await TestHost.StartAsync(ca);
        Pair(ca, $"127.0.0.1:{await FreePortAsync()}", host.Address);
        await using var agent = new RunningAgent(Store);
        await (await host.Service.NextLinkAsync()).NextAsync(Kind.Hello);
        await agent.Journal.ExpectAsync($"Linked to {host.Address} as machine win.");
    }

    [Fact]
    public async Task A_host_with_a_foreign_certificate_is_not_spoken_to()
    {
        using var foreign = new TestCa();
        await using var host = await TestHost.StartAsync(foreign);
        Pair(ca, host.Address);
        await using var agent = new RunningAgent(Store);
        await agent.Journal.ExpectAsync("is not the paired host");
        Assert.Equal(0, host.Service.Attempts);
    }

    [Theory]
    [InlineData(Grpc.Core.StatusCode.Unauthenticated)]
    [InlineData(Grpc.Core.StatusCode.PermissionDenied)]
    public async Task A_refused_certificate_is_said_once_with_the_way_out_and_tried_again_slowly(Grpc.Core.StatusCode code)
    {
        await using var host = await StartPairedAsync();
        host.Service.Refusal = new(code, "revoked");
        var time = new FakeTimeProvider();
        await using var agent = new RunningAgent(Store, time);
        var line = await agent.Journal.ExpectAsync("refuses this guest");
        Assert.Contains("kvmswitch guest pair", line, StringComparison.Ordinal);
        time.Advance(LinkLoop.RefusedInterval - TimeSpan.FromSeconds(1));
        Assert.Equal(1, host.Service.Attempts);
        host.Service.Refusal = null;
        // In small steps, so that a busy machine has the time that the agent gives a host to answer.
        await AdvanceUntilAsync(time, host.Service.NextLinkAsync(), TimeSpan.FromMilliseconds(20));
        Assert.Single(agent.Journal.All, said => said.Contains("refuses this guest", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(-9000)]
    [InlineData(-2)]
    [InlineData(9000)]
    public async Task A_guest_whose_clock_is_wrong_links_and_is_told(int days)
    {
        await using var host = await StartPairedAsync();
        var here = DateTimeOffset.UtcNow.AddDays(days);
        await using var agent = new RunningAgent(Store, new FakeTimeProvider(here));
        await (await host.Service.NextLinkAsync()).NextAsync(Kind.Hello);
        var line = await agent.Journal.ExpectAsync("Linked to");
        Assert.Matches($@"as machine win\. The clock here says {here:yyyy-MM-dd}, the host's \d{{4}}-\d\d-\d\d: set the one that is wrong\.$", line);
    }

    [Fact]
    public async Task A_clock_that_is_wrong_by_hours_is_nobodys_concern()
    {
        await using var host = await StartPairedAsync();
        await using var agent = new RunningAgent(Store, new FakeTimeProvider(DateTimeOffset.UtcNow.AddHours(-13)));
        await (await host.Service.NextLinkAsync()).NextAsync(Kind.Hello);
        Assert.EndsWith("as machine win.", await agent.Journal.ExpectAsync("Linked to"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_tells_of_the_clocks_too()
    {
        await using var host = await StartPairedAsync();
        host.Service.Refusal = new(Grpc.Core.StatusCode.Unauthenticated, "the agent's certificate expired");
        await using var agent = new RunningAgent(Store, new FakeTimeProvider(DateTimeOffset.UtcNow.AddYears(-10)));
        Assert.EndsWith("set the one that is wrong.", await agent.Journal.ExpectAsync("refuses this guest"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_newer_host_may_send_fields_and_messages_that_are_unknown_here()
    {
        await using var host = await StartPairedAsync();
        await using var agent = new RunningAgent(Store);
        var link = await host.Service.NextLinkAsync();
        await link.NextAsync(Kind.Hello);
        // Message 99 of the oneof; then a state with an unknown field 200; then hotkeys whose action has a verb of the future.
        await link.Writer.WriteAsync(HostMessage.Parser.ParseFrom([0x9a, 0x06, 0x02, 0x08, 0x01]));
        await link.Writer.WriteAsync(HostMessage.Parser.ParseFrom([0x22, 0x03, 0xc0, 0x0c, 0x07]));
        var hotkeys = Return(30);
        hotkeys.Hotkeys.Hotkeys[0].Action = new() { Verb = (GuestAction.Types.Verb)77 };
        await link.Writer.WriteAsync(hotkeys);
        await link.NextAsync(Kind.Heartbeat);
        await PressUntilAskedAsync(agent, link, 30, (GuestAction.Types.Verb)77);
        Assert.Equal(1, host.Service.Attempts);
    }

    [Fact]
    public async Task A_hotkey_of_the_host_asks_for_its_action_and_the_answer_is_logged()
    {
        await using var host = await StartPairedAsync();
        await using var agent = new RunningAgent(Store);
        var link = await host.Service.NextLinkAsync();
        await link.Writer.WriteAsync(Return(30));
        var request = await PressUntilAskedAsync(agent, link, 30, GuestAction.Types.Verb.Return);
        Assert.Equal("hotkey", request.Gesture);
        await link.Writer.WriteAsync(new() { Reply = new() { Id = request.Id, Error = "The keyboard is busy." } });
        await agent.Journal.ExpectAsync("Hotkey test-chord: The keyboard is busy.");
    }

    [Fact]
    public async Task A_hotkey_without_a_link_is_said_and_not_kept()
    {
        await using var host = await StartPairedAsync();
        await using var agent = new RunningAgent(Store);
        var link = await host.Service.NextLinkAsync();
        await link.Writer.WriteAsync(Return(30));
        await PressUntilAskedAsync(agent, link, 30, GuestAction.Types.Verb.Return);
        host.Service.Refusal = new(Grpc.Core.StatusCode.PermissionDenied, "revoked");
        link.Close();
        await agent.Journal.ExpectAsync("refuses this guest");
        Tap(agent, 30);
        await agent.Journal.ExpectAsync("no link to the host");
    }

    [Fact]
    public async Task The_host_can_shut_the_guest_down()
    {
        await using var host = await StartPairedAsync();
        await using var agent = new RunningAgent(Store);
        var link = await host.Service.NextLinkAsync();
        await link.Writer.WriteAsync(new() { Shutdown = new() });
        await agent.Power.Asked.Task.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task An_agent_that_is_stopped_says_goodbye()
    {
        await using var host = await StartPairedAsync();
        var agent = new RunningAgent(Store);
        var link = await host.Service.NextLinkAsync();
        await link.NextAsync(Kind.Heartbeat);
        await agent.StopAsync();
        Assert.True(await link.Ended.Task.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task A_host_that_does_not_answer_the_goodbye_can_not_hold_a_stopping_agent()
    {
        await using var host = await StartPairedAsync();
        var agent = new RunningAgent(Store);
        var link = await host.Service.NextLinkAsync();
        host.Service.IgnoresGoodbye = true;
        await link.NextAsync(Kind.Heartbeat);
        await agent.StopAsync();
    }

    [Fact]
    public async Task A_running_agent_takes_a_pairing_at_once_and_follows_a_new_one()
    {
        await using var agent = new RunningAgent(Store);
        await agent.Journal.ExpectAsync("Not paired");
        await using var first = await TestHost.StartAsync(ca);
        await new Enroller(new KvmSwitch.Agent.Linux.RsaKeyMaker(), Store).JoinAsync(JoinCode.Parse(first.Code()), "guest", CancellationToken.None);
        await (await first.Service.NextLinkAsync()).NextAsync(Kind.Hello);

        using var other = new TestCa();
        await using var second = await TestHost.StartAsync(other);
        await new Enroller(new KvmSwitch.Agent.Linux.RsaKeyMaker(), Store).JoinAsync(JoinCode.Parse(second.Code()), "guest", CancellationToken.None);
        await (await second.Service.NextLinkAsync()).NextAsync(Kind.Hello);
    }

    [Fact]
    public async Task A_damaged_pairing_is_said_and_a_new_one_heals_it()
    {
        await File.WriteAllTextAsync(state.At(IdentityStore.FileName), "{\"machine\":");
        await using var agent = new RunningAgent(Store);
        await agent.Journal.ExpectAsync("is damaged");
        await using var host = await StartPairedAsync();
        await (await host.Service.NextLinkAsync()).NextAsync(Kind.Hello);
    }

    public void Dispose()
    {
        state.Dispose();
        ca.Dispose();
    }

    private static HostMessage Return(uint code) => new()
    {
        Hotkeys = new()
        {
            Hotkeys =
            {
                new HotkeyConfiguration.Types.Hotkey
                {
                    Keys = { new HotkeyConfiguration.Types.Key { Codes = { code } } },
                    Action = new() { Verb = GuestAction.Types.Verb.Return },
                    Chord = "test-chord",
                },
            },
        },
    };

    private static void Tap(RunningAgent agent, ushort code)
    {
        agent.Chords.Take(new("event0", "1-2", code, KeyMove.Down));
        agent.Chords.Take(new("event0", "1-2", code, KeyMove.Up));
    }

    /// <summary>Pressed until it works, because the agent takes a configuration when it arrives there.</summary>
    private static async Task<GuestRequest> PressUntilAskedAsync(RunningAgent agent, HostLink link, ushort code, GuestAction.Types.Verb verb)
    {
        using var patience = new CancellationTokenSource(Patience);
        var asked = link.NextAsync(Kind.Request);
        while (!asked.IsCompleted)
        {
            patience.Token.ThrowIfCancellationRequested();
            Tap(agent, code);
            await Task.WhenAny(asked, Task.Delay(20));
        }

        var request = (await asked).Request;
        Assert.Equal(verb, request.Action.Verb);
        return request;
    }

    private static async Task<T> AdvanceUntilAsync<T>(FakeTimeProvider time, Task<T> done, TimeSpan? step = null)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!done.IsCompleted)
        {
            patience.Token.ThrowIfCancellationRequested();
            time.Advance(step ?? TimeSpan.FromSeconds(1));
            await Task.WhenAny(done, Task.Delay(20));
        }

        return await done;
    }

    private static async Task<int> FreePortAsync()
    {
        using var probe = new TestCa();
        await using var host = await TestHost.StartAsync(probe);
        return host.Port;
    }

    private async Task<TestHost> StartPairedAsync(Welcome? welcome = null)
    {
        var host = await TestHost.StartAsync(ca);
        host.Service.Welcome = welcome ?? host.Service.Welcome;
        Pair(ca, host.Address);
        return host;
    }

    private void Pair(TestCa issuer, params string[] addresses) =>
        Store.Save(new("win", [.. addresses.Select(one => HostAddress.TryParse(one)!)], issuer.Certificate, new PfxCredential(issuer.GuestPfx())));
}
