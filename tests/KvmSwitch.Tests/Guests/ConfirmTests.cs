using KvmSwitch.Core;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Proto.V1;
using Xunit;
using Device = KvmSwitch.Core.Device;

namespace KvmSwitch.Tests.Guests;

public sealed class ConfirmTests
{
    private static readonly GuestPlace Place = GuestPlace.Usb(3, "0000:00:04.0");

    private static readonly Device Keyboard = new(
        DeviceId.Parse("keyboard"), DeviceClass.Hid, new DeviceRoute.Virtual("usb-kbd"), new GuestPort(0, 3));

    private static readonly GuestIdentity Identity = new(new VidPid(0x046d, 0xc31c), "A1");

    [Fact]
    public async Task A_device_that_is_there_already_is_confirmed_at_once()
    {
        await using var host = await GuestHost.StartAsync();
        var hello = TestAgent.DefaultHello();
        hello.Devices.Add(TestAgent.Keyboard());
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win), hello);
        await ConfirmAsync(host).WaitAsync(TestAgent.Patience);
    }

    [Fact]
    public async Task A_hid_device_is_confirmed_when_it_is_ready()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        var confirmed = ConfirmAsync(host);
        await agent.SightAsync(TestAgent.Keyboard(ready: false));
        await agent.SyncAsync();
        Assert.False(confirmed.IsCompleted);

        await agent.SightAsync(TestAgent.Keyboard(ready: true));
        await confirmed.WaitAsync(TestAgent.Patience);
    }

    public static TheoryData<string, GuestDevice, bool> Candidates()
    {
        static GuestDevice With(Action<GuestDevice> change)
        {
            var device = TestAgent.Keyboard();
            change(device);
            return device;
        }

        return new()
        {
            { "as it is", TestAgent.Keyboard(), true },
            { "serial unknown to the guest", With(d => d.Serial = ""), true },
            { "controller unknown to the guest", With(d => d.Controller = ""), true },
            { "port unknown to the guest", With(d => d.Port = ""), true },
            { "letter case", With(d => d.Serial = "a1"), true },
            { "other vendor", With(d => d.VendorId = 1), false },
            { "other product", With(d => d.ProductId = 1), false },
            { "other serial", With(d => d.Serial = "B2"), false },
            { "other port", With(d => d.Port = "4"), false },
            { "behind a hub", With(d => d.Port = "3.1"), false },
            { "other controller", With(d => d.Controller = "0000:00:05.0"), false },
        };
    }

    [Theory]
    [MemberData(nameof(Candidates))]
    public async Task Every_value_that_both_sides_know_must_agree(string what, GuestDevice device, bool expected)
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        await agent.SightAsync(device);
        await agent.SyncAsync();
        using var stop = new CancellationTokenSource();
        var confirmed = ConfirmAsync(host, stop.Token);
        Assert.True(confirmed.IsCompleted == expected, what);
        await stop.CancelAsync();
    }

    [Fact]
    public async Task The_sighting_of_an_earlier_give_does_not_confirm_a_later_one()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        await agent.SightAsync(TestAgent.Keyboard());
        await ConfirmAsync(host).WaitAsync(TestAgent.Patience);

        host.Links.Forget(GuestHost.Win, Identity, Place);
        var second = ConfirmAsync(host);
        await agent.SightAsync(TestAgent.Keyboard());
        await agent.SyncAsync();
        Assert.False(second.IsCompleted, "a report that was under way when the device left confirmed its return");

        await agent.SightAsync(TestAgent.Keyboard(), gone: true);
        await agent.SyncAsync();
        Assert.False(second.IsCompleted);
        await agent.SightAsync(TestAgent.Keyboard());
        await second.WaitAsync(TestAgent.Patience);
    }

    [Fact]
    public async Task An_agent_that_missed_the_departure_still_confirms_after_a_lease()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        await agent.SightAsync(TestAgent.Keyboard());
        await ConfirmAsync(host).WaitAsync(TestAgent.Patience);

        host.Links.Forget(GuestHost.Win, Identity, Place);
        var second = ConfirmAsync(host);
        await agent.SightAsync(TestAgent.Keyboard());
        await agent.SyncAsync();
        Assert.False(second.IsCompleted);
        host.Time.Advance(GuestHost.Lease);
        await agent.BeatAsync(1);
        await second.WaitAsync(TestAgent.Patience);
    }

    [Fact]
    public async Task What_arrives_after_a_confirmation_was_given_up_does_not_confirm_the_next()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        using (var deadline = new CancellationTokenSource())
        {
            var first = ConfirmAsync(host, deadline.Token);
            await deadline.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        }

        host.Links.Forget(GuestHost.Win, Identity, Place);
        var second = ConfirmAsync(host);
        await agent.SightAsync(TestAgent.Keyboard());
        await agent.SyncAsync();
        Assert.False(second.IsCompleted);
        await agent.SightAsync(TestAgent.Keyboard(), gone: true);
        await agent.SightAsync(TestAgent.Keyboard());
        await second.WaitAsync(TestAgent.Patience);
    }

    [Fact]
    public async Task Leaving_in_order_costs_the_next_give_nothing()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        for (var i = 0; i < 3; i++)
        {
            host.Links.Forget(GuestHost.Win, Identity, Place);
            var confirmed = ConfirmAsync(host);
            await agent.SightAsync(TestAgent.Keyboard());
            await confirmed.WaitAsync(TestAgent.Patience);
            await agent.SightAsync(TestAgent.Keyboard(), gone: true);
            await agent.SyncAsync();
        }
    }

    [Fact]
    public async Task Without_a_link_nothing_is_confirmed_and_its_end_ends_the_wait()
    {
        await using var host = await GuestHost.StartAsync();
        await Assert.ThrowsAsync<SwitchException>(() => ConfirmAsync(host));
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        var waiting = ConfirmAsync(host);
        Assert.False(waiting.IsCompleted);

        host.Links.Disconnect(GuestHost.Win, "the guest was reset");
        var e = await Assert.ThrowsAsync<SwitchException>(() => waiting.WaitAsync(TestAgent.Patience));
        Assert.Contains("the guest was reset", e.Message, StringComparison.Ordinal);
        Assert.Equal(Grpc.Core.StatusCode.Unavailable, (await agent.EndAsync()).StatusCode);
    }

    private static Task ConfirmAsync(GuestHost host, CancellationToken cancellationToken = default) =>
        host.Links.ConfirmAsync(GuestHost.Win, Keyboard, Identity, Place, cancellationToken);
}
