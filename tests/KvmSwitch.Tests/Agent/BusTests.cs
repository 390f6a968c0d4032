using System.Text;
using System.Text.Json.Nodes;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Linux;
using KvmSwitch.Proto.V1;
using Xunit;
using Bus = KvmSwitch.Proto.V1.GuestDevice.Types.Bus;
using Kind = KvmSwitch.Proto.V1.AgentMessage.MessageOneofCase;

namespace KvmSwitch.Tests.Agent;

/// <summary>Devices of buses that not every host understands.</summary>
public sealed class BusTests : IDisposable
{
    private static readonly AttachedDevice Keyboard = new("1-2", 0x627, 1, "42", "0000:00:04.0", "2", Ready: true, "QEMU USB Keyboard", 3);

    private static readonly AttachedDevice Function = new("0000:03:00.0", 0x8086, 0x7ae0, "", "0000:00:18.1", "00.0", Ready: true, "", 5)
    {
        Bus = DeviceBus.Pci,
        PciClass = 0x0c0330,
    };

    private static readonly AttachedDevice Drive = new("2:0:1:0", 0, 0, "K13H2", "0000:00:05.0", "0:1:0", Ready: true, "HL-DT-ST BD-RE", 6)
    {
        Bus = DeviceBus.Scsi,
    };

    private readonly TestCa ca = new();
    private readonly TemporaryDirectory state = new();
    private readonly DeviceFeed devices = new();

    [Fact]
    public async Task A_host_that_understands_them_is_told_of_all_after_its_welcome()
    {
        await using var host = await StartAsync(Bus.Pci, Bus.Scsi);
        devices.Publish(new([Keyboard, Function, Drive]));
        await using var agent = new RunningAgent(new(state.Path), devices: devices);
        var link = await host.Service.NextLinkAsync();
        Assert.Equal([("1-2", Bus.Usb)], (await link.NextAsync(Kind.Hello)).Hello.Devices.Select(one => (one.Key, one.Bus)));

        var function = (await link.NextAsync(Kind.Sighting)).Sighting;
        Assert.Equal(
            (DeviceSighting.Types.Kind.Present, Bus.Pci, "0000:03:00.0", 0x8086u, 0x7ae0u, "0000:00:18.1", "00.0", true, 0x0c0330u),
            (function.Kind, function.Device.Bus, function.Device.Key, function.Device.VendorId, function.Device.ProductId, function.Device.Controller,
                function.Device.Port, function.Device.Ready, function.Device.PciClass));
        var drive = (await link.NextAsync(Kind.Sighting)).Sighting.Device;
        Assert.Equal(
            (Bus.Scsi, "2:0:1:0", "K13H2", "0000:00:05.0", "0:1:0", "HL-DT-ST BD-RE"),
            (drive.Bus, drive.Key, drive.Serial, drive.Controller, drive.Port, drive.Product));

        devices.Publish(new([Keyboard, Drive]));
        var gone = (await link.NextAsync(Kind.Sighting)).Sighting;
        Assert.Equal((DeviceSighting.Types.Kind.Gone, "0000:03:00.0"), (gone.Kind, gone.Device.Key));
    }

    [Fact]
    public async Task A_host_from_before_them_is_told_of_usb_alone()
    {
        await using var host = await StartAsync();
        devices.Publish(new([Function, Drive, Keyboard]));
        await using var agent = new RunningAgent(new(state.Path), devices: devices);
        var link = await host.Service.NextLinkAsync();
        Assert.Equal(["1-2"], (await link.NextAsync(Kind.Hello)).Hello.Devices.Select(one => one.Key));

        await link.NextAsync(Kind.Heartbeat);
        devices.Publish(new([Function with { Ready = false }, Keyboard]));
        devices.Publish(new([Keyboard with { Ready = false }]));
        Assert.Equal("1-2", (await link.NextAsync(Kind.Sighting)).Sighting.Device.Key);
        devices.Publish(new([Function]));
        var last = (await link.NextAsync(Kind.Sighting)).Sighting;
        Assert.Equal((DeviceSighting.Types.Kind.Gone, "1-2"), (last.Kind, last.Device.Key));
    }

    [Fact]
    public async Task A_bus_that_only_a_newer_host_knows_changes_nothing()
    {
        await using var host = await StartAsync((Bus)9, Bus.Unspecified, Bus.Scsi);
        devices.Publish(new([Function, Drive]));
        await using var agent = new RunningAgent(new(state.Path), devices: devices);
        var link = await host.Service.NextLinkAsync();
        Assert.Equal("2:0:1:0", (await link.NextAsync(Kind.Sighting)).Sighting.Device.Key);
        devices.Publish(new([Function with { Ready = false }]));
        Assert.Equal("2:0:1:0", (await link.NextAsync(Kind.Sighting)).Sighting.Device.Key);
    }

    [Fact]
    public void No_more_is_told_than_a_host_takes_and_usb_comes_first()
    {
        var many = Enumerable.Range(0, 100).Select(n => Function with { Key = $"0000:{n:x2}:00.0" });
        var told = new DeviceSnapshot([.. many, Drive, Keyboard]).Telling(new HashSet<DeviceBus> { DeviceBus.Pci, DeviceBus.Scsi });
        Assert.Equal(DeviceSnapshot.MostTold, told.Devices.Count);
        Assert.Contains(Keyboard, told.Devices);
        Assert.Equal(KvmSwitch.Daemon.Guests.GuestConversation.MaxDevices, DeviceSnapshot.MostTold);
    }

    [Fact]
    public void One_look_finds_the_devices_of_every_bus()
    {
        using var root = new TemporaryDirectory();
        Node("devices/pci0000:00/0000:00:04.0/usb1/1-2", "bus/usb/devices/1-2", ("devnum", "3"), ("bDeviceClass", "00"), ("idVendor", "0627"), ("idProduct", "0001"));
        Node("devices/pci0000:00/0000:00:18.1/0000:03:00.0", "bus/pci/devices/0000:03:00.0", ("class", "0x0c0330"), ("vendor", "0x8086"), ("device", "0x7ae0"));
        Node("devices/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:1/2:0:1:0/block/sr0", "class/block/sr0");
        Assert.Equal(
            [(DeviceBus.Pci, "0000:03:00.0"), (DeviceBus.Usb, "1-2"), (DeviceBus.Scsi, "2:0:1:0")],
            new DeviceScan(new(root.Path)).Take().Devices.Select(one => (one.Bus, one.Key)));

        void Node(string path, string link, params (string Name, string Text)[] attributes)
        {
            Directory.CreateDirectory(root.At(path));
            foreach (var (name, text) in attributes)
                File.WriteAllText(root.At(path, name), text);
            Directory.CreateDirectory(Path.GetDirectoryName(root.At(link))!);
            File.CreateSymbolicLink(root.At(link), root.At(path));
        }
    }

    [Fact]
    public void Watch_tells_the_bus_of_each_device()
    {
        using var output = new MemoryStream();
        var lines = new WatchLines(output, TimeProvider.System);
        foreach (var device in new[] { Keyboard, Function, Drive })
            lines.Device(new(Present: true, device));
        Assert.Equal(
            [("usb", "1-2"), ("pci", "0000:03:00.0"), ("scsi", "2:0:1:0")],
            Encoding.UTF8.GetString(output.ToArray()).TrimEnd().Split('\n').Select(line => JsonNode.Parse(line)!)
                .Select(line => ((string)line["bus"]!, (string)line["key"]!)));
    }

    public void Dispose()
    {
        ca.Dispose();
        state.Dispose();
    }

    private async Task<TestHost> StartAsync(params Bus[] understood)
    {
        var host = await TestHost.StartAsync(ca);
        host.Service.Welcome = new() { Machine = "win", HeartbeatIntervalMs = 100, LeaseMs = 2000, Buses = { understood } };
        new IdentityStore(state.Path).Save(new("win", [HostAddress.TryParse(host.Address)!], ca.Certificate, new PfxCredential(ca.GuestPfx())));
        return host;
    }
}
