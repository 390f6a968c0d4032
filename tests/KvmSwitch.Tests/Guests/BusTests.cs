using System.Security.Cryptography.X509Certificates;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Proto.V1;
using KvmSwitch.Tests.Agent;
using Xunit;
using Bus = KvmSwitch.Proto.V1.GuestDevice.Types.Bus;
using Device = KvmSwitch.Core.Device;

namespace KvmSwitch.Tests.Guests;

/// <summary>Confirming what doesn't arrive on USB.</summary>
public sealed class BusTests
{
    private static readonly Device Ports = new(DeviceId.Parse("front-ports"), DeviceClass.Other, new DeviceRoute.Virtual("usb-kbd"), new GuestPort(0, 3));
    private static readonly Device Keyboard = Ports with { Class = DeviceClass.Hid };

    private static readonly GuestIdentity Controller = new(new VidPid(0x8086, 0x7ae0), null);
    private static readonly GuestPlace RootPort = GuestPlace.Pci("0000:00:1e.1");

    private static readonly GuestIdentity Drive = new(null, "K13H2");
    private static readonly GuestPlace Target = GuestPlace.Scsi("0000:00:05.0", 1);

    [Fact]
    public async Task A_host_says_which_buses_it_understands()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = new TestAgent(host.Connect(await host.PairAsync(GuestHost.Win)));
        await agent.SendAsync(new() { Hello = NewHello() });
        Assert.Equal([Bus.Pci, Bus.Scsi], (await agent.NextAsync(HostMessage.MessageOneofCase.Welcome)).Welcome.Buses);
    }

    public static TheoryData<string, GuestDevice, bool> Functions() => new()
    {
        { "as it is", Function(), true },
        { "in capitals", Function(d => d.Controller = "0000:00:1E.1"), true },
        { "without its driver", Function(d => d.Ready = false), false },
        { "without a driver, of a class that needs none", Function(d => (d.Ready, d.PciClass) = (false, 0x050000)), true },
        { "other id", Function(d => d.ProductId = 1), false },
        { "below another root port", Function(d => d.Controller = "0000:00:1e.2"), false },
        { "root port unknown to the guest", Function(d => d.Controller = ""), false },
        { "place unknown to the guest", Function(d => (d.Controller, d.Port) = ("", "")), false },
        { "other function", Function(d => d.Port = "00.1"), false },
        { "on USB", Function(d => d.Bus = Bus.Usb), false },
        { "bus not told", Function(d => d.Bus = Bus.Unspecified), false },
        { "on SCSI", Function(d => d.Bus = Bus.Scsi), false },
        { "on a bus of the future", Function(d => d.Bus = (Bus)7), false },
    };

    [Theory]
    [MemberData(nameof(Functions))]
    public async Task A_function_is_recognized_by_root_port_and_id(string what, GuestDevice seen, bool expected) =>
        await AssertConfirmsAsync(Ports, Controller, RootPort, seen, what, expected);

    public static TheoryData<string, GuestDevice, bool> Drives() => new()
    {
        { "as it is", Optical(), true },
        { "serial unknown to the guest", Optical(d => d.Serial = ""), true },
        { "other serial", Optical(d => d.Serial = "OTHER"), false },
        { "without its node", Optical(d => d.Ready = false), false },
        { "other target", Optical(d => d.Port = "0:2:0"), false },
        { "other unit", Optical(d => d.Port = "0:1:1"), false },
        { "other controller", Optical(d => d.Controller = "0000:00:06.0"), false },
        { "controller unknown to the guest", Optical(d => d.Controller = ""), false },
        { "on USB", Optical(d => d.Bus = Bus.Usb), false },
        { "with garbage", Optical(d => d.Port = new string('0', 10_000)), false },
    };

    [Theory]
    [MemberData(nameof(Drives))]
    public async Task A_drive_is_recognized_by_target_and_serial(string what, GuestDevice seen, bool expected) =>
        await AssertConfirmsAsync(Ports, Drive, Target, seen, what, expected);

    [Theory]
    [InlineData(Bus.Usb, true)]
    [InlineData(Bus.Unspecified, true)]
    [InlineData(Bus.Pci, false)]
    [InlineData(Bus.Scsi, false)]
    [InlineData((Bus)7, false)]
    public async Task Only_a_usb_device_confirms_a_usb_device(Bus bus, bool expected)
    {
        foreach (var port in new[] { "3", "" })
        {
            var seen = TestAgent.Keyboard();
            (seen.Bus, seen.Port) = (bus, port);
            await AssertConfirmsAsync(
                Keyboard, new(new VidPid(0x046d, 0xc31c), "A1"), GuestPlace.Usb(3, "0000:00:04.0"), seen, $"{bus} at '{port}'", expected);
        }
    }

    [Fact]
    public async Task A_function_of_an_earlier_give_does_not_confirm_a_later_one()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win), NewHello());
        await agent.SightAsync(Function());
        await ConfirmAsync(host).WaitAsync(TestAgent.Patience);

        host.Links.Forget(GuestHost.Win, Controller, RootPort);
        var second = ConfirmAsync(host);
        await agent.SightAsync(Function());
        await agent.SyncAsync();
        Assert.False(second.IsCompleted, "a report that was under way when the function left confirmed its return");

        await agent.SightAsync(Function(), gone: true);
        await agent.SightAsync(Function(d => d.Ready = false));
        await agent.SyncAsync();
        Assert.False(second.IsCompleted);
        await agent.SightAsync(Function());
        await second.WaitAsync(TestAgent.Patience);
    }

    [Fact]
    public async Task What_left_one_root_port_casts_no_doubt_on_another()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win), NewHello());
        await agent.SightAsync(Function(d => (d.Key, d.Controller) = ("0000:04:00.0", "0000:00:1e.2")));
        await agent.SyncAsync();
        host.Links.Forget(GuestHost.Win, Controller, GuestPlace.Pci("0000:00:1e.2"));
        await agent.SightAsync(Function());
        await ConfirmAsync(host).WaitAsync(TestAgent.Patience);
    }

    [Fact]
    public async Task An_older_agent_is_known_to_see_usb_alone_and_nothing_else_is_waited_for()
    {
        await using var host = await GuestHost.StartAsync();
        Assert.False(host.Links.CanSee(GuestHost.Win, GuestBus.Usb));
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        Assert.Equal((true, false, false), Sight(host));
        var refused = await Assert.ThrowsAsync<SwitchException>(() => ConfirmAsync(host).WaitAsync(TestAgent.Patience));
        Assert.Equal(
            "the agent of win (version 1.2) can't see 'front-ports': it doesn't report PCI devices; install a newer agent in the guest", refused.Message);
        refused = await Assert.ThrowsAsync<SwitchException>(
            () => host.Links.ConfirmAsync(GuestHost.Win, Ports, Drive, Target, default).WaitAsync(TestAgent.Patience));
        Assert.Contains("optical drives", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_newer_agent_sees_all_while_it_is_linked()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win), NewHello());
        Assert.Equal((true, true, true), Sight(host));
        await host.Listener.WaitForAsync("heartbeat win 1");
        host.Links.Disconnect(GuestHost.Win, "the guest was reset");
        await host.Listener.WaitForAsync("gone win 1");
        Assert.Equal((false, false, false), Sight(host));
    }

    [Fact]
    public async Task Where_the_root_port_is_not_known_the_id_must_tell_the_function()
    {
        var anywhere = GuestPlace.Pci(null);
        await AssertConfirmsAsync(Ports, Controller, anywhere, Function(), "same id", expected: true);
        await AssertConfirmsAsync(Ports, Controller, anywhere, Function(d => d.ProductId = 1), "other id", expected: false);
        await AssertConfirmsAsync(Ports, new(null, null), anywhere, Function(), "no id", expected: false);
    }

    [Fact]
    public async Task Our_own_agent_confirms_on_every_bus()
    {
        await using var host = await GuestHost.StartAsync();
        using var state = new TemporaryDirectory();
        using var certificate = await host.PairAsync(GuestHost.Win);
        new IdentityStore(state.Path).Save(new(
            "win", [HostAddress.TryParse(host.Endpoint.ToString())!], host.Authority.Certificate.RawData, new PfxCredential(certificate.Export(X509ContentType.Pkcs12))));
        var devices = new DeviceFeed();
        var function = new AttachedDevice("0000:03:00.0", 0x8086, 0x7ae0, "", "0000:00:1e.1", "00.0", Ready: true, "", 1)
        {
            Bus = DeviceBus.Pci,
            PciClass = 0x0c0330,
        };
        devices.Publish(new([function]));
        await using var agent = new RunningAgent(new(state.Path), devices: devices);
        await host.Listener.WaitForAsync("heartbeat win 1");

        await ConfirmAsync(host).WaitAsync(TestAgent.Patience);
        var drive = host.Links.ConfirmAsync(GuestHost.Win, Ports, Drive, Target, default);
        Assert.False(drive.IsCompleted);
        devices.Publish(new([function, new AttachedDevice("2:0:1:0", 0, 0, "K13H2", "0000:00:05.0", "0:1:0", Ready: true, "", 2) { Bus = DeviceBus.Scsi }]));
        await drive.WaitAsync(TestAgent.Patience);
    }

    private static (bool Usb, bool Pci, bool Scsi) Sight(GuestHost host) => (
        host.Links.CanSee(GuestHost.Win, GuestBus.Usb), host.Links.CanSee(GuestHost.Win, GuestBus.Pci), host.Links.CanSee(GuestHost.Win, GuestBus.Scsi));

    private static Hello NewHello()
    {
        var hello = TestAgent.DefaultHello();
        hello.Abilities.AddRange([Ability.PciSightings, Ability.ScsiSightings]);
        return hello;
    }

    private static GuestDevice Function(Action<GuestDevice>? change = null)
    {
        var device = new GuestDevice
        {
            Key = "0000:03:00.0",
            Bus = Bus.Pci,
            VendorId = 0x8086,
            ProductId = 0x7ae0,
            Controller = "0000:00:1e.1",
            Port = "00.0",
            Ready = true,
            PciClass = 0x0c0330,
        };
        change?.Invoke(device);
        return device;
    }

    private static GuestDevice Optical(Action<GuestDevice>? change = null)
    {
        var device = new GuestDevice
        {
            Key = "2:0:1:0", Bus = Bus.Scsi, Serial = "K13H2", Controller = "0000:00:05.0", Port = "0:1:0", Ready = true, Product = "HL-DT-ST BD-RE",
        };
        change?.Invoke(device);
        return device;
    }

    private static Task ConfirmAsync(GuestHost host) => host.Links.ConfirmAsync(GuestHost.Win, Ports, Controller, RootPort, default);

    private static async Task AssertConfirmsAsync(
        Device device, GuestIdentity identity, GuestPlace place, GuestDevice seen, string what, bool expected)
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win), NewHello());
        await agent.SightAsync(seen);
        await agent.SyncAsync();
        using var stop = new CancellationTokenSource();
        var confirmed = host.Links.ConfirmAsync(GuestHost.Win, device, identity, place, stop.Token);
        Assert.True(confirmed.IsCompleted == expected, what);
        await stop.CancelAsync();
    }
}
