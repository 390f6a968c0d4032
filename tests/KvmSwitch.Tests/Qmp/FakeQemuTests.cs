using System.Text.Json.Nodes;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class FakeQemuTests : IAsyncLifetime
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(20);
    private readonly FakeQemu _qemu = FakeQemu.Start(SocketPath.New());
    private QmpClient _client = null!;

    public async ValueTask InitializeAsync() => _client = await QmpClient.ConnectAsync(_qemu.SocketPath);

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _qemu.DisposeAsync();
    }

    [Fact]
    public async Task A_device_opened_by_descriptor_keeps_it_until_it_goes()
    {
        var path = Path.GetTempFileName();
        try
        {
            using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite))
            {
                var set = await _client.AddFdAsync(file);
                var properties = new JsonObject { ["bus"] = "xhci.0", ["port"] = "3", ["hostdevice"] = set.Path };
                await _client.DeviceAddAsync("usb-host", "kbd", properties);
                await _client.RemoveFdAsync(set.FdSetId);
            }

            var device = _qemu.Devices["kbd"];
            Assert.Equal(("usb-host", true, true), (device.Driver, device.HasDescriptor, device.Attached));
            Assert.Equal("3", device.Properties["port"]!.GetValue<string>());
            Assert.Empty(_qemu.FdSets);
            Assert.Equal(1, OpenCount(path));
            await _client.DeviceDelAndWaitAsync("kbd", _patience);
            Assert.Equal(0, OpenCount(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task A_usb_host_that_finds_nothing_succeeds_and_is_not_attached()
    {
        await _client.DeviceAddAsync("usb-host", "kbd", new JsonObject { ["bus"] = "xhci.0", ["hostport"] = "9.9" });
        Assert.False((await _client.QomGetAsync("/machine/peripheral/kbd", "attached")).GetBoolean());
        Assert.False(_qemu.Devices["kbd"].HasDescriptor);
    }

    [Fact]
    public async Task A_root_port_takes_one_device()
    {
        await _client.DeviceAddAsync("vfio-pci", "c1", new JsonObject { ["bus"] = "rp1", ["host"] = "00:1a.0" });
        var e = await Assert.ThrowsAsync<QmpCommandException>(
            () => _client.DeviceAddAsync("vfio-pci", "c2", new JsonObject { ["bus"] = "rp1" }));
        Assert.Contains("already occupied by vfio-pci", e.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_that_is_asked_to_shut_down_does_so()
    {
        using var listener = _client.Listen();
        await _client.SystemPowerdownAsync();
        Assert.Equal("guest-shutdown", (await listener.WaitForAsync(e => e.Name == "SHUTDOWN", _patience)).Text("reason"));
        await _qemu.Exited.WaitAsync(_patience);
        Assert.False(File.Exists(_qemu.SocketPath));
    }

    [Fact]
    public async Task A_lasting_fault_lasts_until_it_is_lifted()
    {
        _qemu.Always("device_add", new FakeFault.Refuse("no"));
        for (var time = 0; time < 2; time++)
        {
            var e = await Assert.ThrowsAsync<QmpCommandException>(() => _client.DeviceAddAsync("usb-kbd", "k1"));
            Assert.Equal("no", e.Description);
        }

        _qemu.Always("device_add", null);
        await _client.DeviceAddAsync("usb-kbd", "k1");
        Assert.Equal(3, _qemu.Commands.Count(command => command.Name == "device_add"));
    }

    [Fact]
    public async Task A_client_that_is_dropped_may_come_again_and_finds_the_devices()
    {
        await _client.DeviceAddAsync("usb-kbd", "k1");
        _qemu.DropClient();
        await _client.Disconnected.WaitAsync(_patience);
        await using var next = await QmpClient.ConnectAsync(_qemu.SocketPath);
        Assert.Contains("k1", await next.ListPeripheralsAsync());
    }

    private static int OpenCount(string path) =>
        Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(entry => new FileInfo(entry).LinkTarget == path);
}
