using System.Text.Json.Nodes;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpAnyByteTests
{
    [Fact]
    public async Task A_peer_that_closes_at_any_byte_is_a_disconnect_or_a_failed_connect_and_nothing_else()
    {
        var count = 0;
        var disconnects = 0;
        while (!await SurvivesAsync(count, () => disconnects++))
        {
            count++;
        }

        Assert.True(count > 500, $"The session had only {count} bytes.");
        Assert.True(disconnects > 250, $"Only {disconnects} of {count} sessions got beyond the handshake.");
    }

    private static async Task<bool> SurvivesAsync(int bytes, Action disconnected)
    {
        var options = new FakeQemuOptions { Wire = new FakeWire { CloseAfterBytes = bytes } };
        await using var qemu = FakeQemu.Start(SocketPath.New(), options);
        try
        {
            await using var client = await QmpClient.ConnectAsync(qemu.SocketPath);
            using var listener = client.Listen();
            await client.DeviceAddAsync("usb-kbd", "k1", new JsonObject { ["bus"] = "xhci.0" });
            await client.DeviceDelAndWaitAsync("k1");
            await Assert.ThrowsAsync<QmpCommandException>(() => client.DeviceDelAsync("k1"));
            await client.StopAsync();
            await listener.WaitForAsync(happened => happened.Name == "STOP", TimeSpan.FromSeconds(20));
            return true;
        }
        catch (QmpConnectException)
        {
            return false;
        }
        catch (QmpDisconnectedException)
        {
            disconnected();
            return false;
        }
        catch (Xunit.Sdk.ThrowsException e) when (e.InnerException is QmpDisconnectedException)
        {
            disconnected();
            return false;
        }
    }
}
