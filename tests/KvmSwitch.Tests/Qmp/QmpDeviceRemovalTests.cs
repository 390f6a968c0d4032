using System.Text.Json.Nodes;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpDeviceRemovalTests : IAsyncLifetime
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(20);
    private readonly FakeQemu _qemu = FakeQemu.Start(SocketPath.New());
    private QmpClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _client = await QmpClient.ConnectAsync(_qemu.SocketPath);
        await _client.DeviceAddAsync("usb-kbd", "k1", new JsonObject { ["bus"] = "xhci.0" });
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _qemu.DisposeAsync();
    }

    [Fact]
    public async Task An_event_before_the_return_counts()
    {
        _qemu.Next("device_del", new FakeFault.DeletedFirst());
        Assert.Equal(QmpRemoval.Deleted, await _client.DeviceDelAndWaitAsync("k1", _patience));
    }

    [Fact]
    public async Task An_event_long_after_the_return_counts()
    {
        var later = new TaskCompletionSource();
        _qemu.Next("device_del", new FakeFault.DeletedAfter(later.Task));
        var removing = _client.DeviceDelAndWaitAsync("k1", _patience);
        await _qemu.SeenAsync("qom-get", times: 2).WaitAsync(_patience);
        Assert.False(removing.IsCompleted);
        later.SetResult();
        Assert.Equal(QmpRemoval.Deleted, await removing);
    }

    [Fact]
    public async Task An_event_that_never_comes_is_made_up_for_by_looking()
    {
        _qemu.Next("device_del", new FakeFault.DeletedSilently());
        Assert.Equal(QmpRemoval.Vanished, await _client.DeviceDelAndWaitAsync("k1", _patience));
    }

    [Fact]
    public async Task A_device_that_left_the_list_is_given_time_for_its_event()
    {
        _qemu.Next("device_del", new FakeFault.DeletedSilently());
        var removing = _client.DeviceDelAndWaitAsync("k1", _patience);
        await _qemu.SeenAsync("qom-get").WaitAsync(_patience);
        await _qemu.RaiseAsync("DEVICE_DELETED", new JsonObject { ["device"] = "k1" });
        Assert.Equal(QmpRemoval.Deleted, await removing);
    }

    [Fact]
    public async Task A_device_that_stays_is_a_timeout()
    {
        _qemu.Next("device_del", new FakeFault.NeverDeleted());
        var removing = await RemoveOnFakeClockAsync(() => Task.CompletedTask);
        var e = await Assert.ThrowsAsync<QmpTimeoutException>(() => removing);
        Assert.Contains("'k1' is still attached", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("k1")]
    [InlineData("k1/child")]
    [InlineData("k")]
    public async Task The_event_of_another_device_or_of_an_earlier_one_proves_nothing(string told)
    {
        _qemu.Next("device_del", new FakeFault.NeverDeleted());
        var removing = await RemoveOnFakeClockAsync(async () =>
        {
            await _qemu.RaiseAsync("DEVICE_DELETED", new JsonObject { ["device"] = told });
            await _qemu.RaiseAsync("DEVICE_DELETED", new JsonObject { ["path"] = "/machine/peripheral/k1/virtio-backend" });
        });
        await Assert.ThrowsAsync<QmpTimeoutException>(() => removing);
    }

    [Fact]
    public async Task A_guest_that_refuses_is_told()
    {
        _qemu.Next("device_del", new FakeFault.UnplugRefused());
        var e = await Assert.ThrowsAsync<QmpUnplugRefusedException>(() => _client.DeviceDelAndWaitAsync("k1", _patience));
        Assert.Equal("k1", e.DeviceId);
    }

    [Fact]
    public async Task A_refusal_by_qemu_is_passed_on_by_its_class()
    {
        _qemu.Next("device_del", new FakeFault.Refuse("Device 'k1' not found"));
        await Assert.ThrowsAsync<QmpCommandException>(() => _client.DeviceDelAndWaitAsync("k1", _patience));
        _qemu.Next("device_del", new FakeFault.Refuse("whatever", QmpErrorClass.DeviceNotFound));
        Assert.Equal(QmpRemoval.AlreadyGone, await _client.DeviceDelAndWaitAsync("k1", _patience));
    }

    [Fact]
    public async Task A_qemu_that_dies_meanwhile_is_a_disconnect()
    {
        _qemu.Next("device_del", new FakeFault.NeverDeleted());
        var removing = _client.DeviceDelAndWaitAsync("k1", _patience);
        _qemu.Kill();
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => removing);
    }

    /// <summary>The removal with five seconds, which pass only after the command's return and what happens then.</summary>
    private async Task<Task> RemoveOnFakeClockAsync(Func<Task> afterReturn)
    {
        await _client.DisposeAsync();
        var clock = new FakeTimeProvider();
        _client = await QmpClient.ConnectAsync(_qemu.SocketPath, new QmpClientOptions { TimeProvider = clock });
        var removing = _client.DeviceDelAndWaitAsync("k1", TimeSpan.FromSeconds(5));
        await _client.QueryStatusAsync();
        await afterReturn();
        while (clock.GetUtcNow() < clock.Start + TimeSpan.FromSeconds(4.9))
        {
            // The answer to this comes after all that the removal asked before it.
            await _client.QueryStatusAsync();
            Assert.False(removing.IsCompleted);
            clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        clock.Advance(TimeSpan.FromSeconds(1));
        return removing;
    }
}
