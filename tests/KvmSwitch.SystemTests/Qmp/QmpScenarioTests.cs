using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests.Qmp;

public sealed class QmpScenarioTests
{
    public static TheoryData<string> Names => [.. QmpScenarios.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task On_the_real_qemu(string scenario)
    {
        await using var qemu = await RealQemu.StartAsync();
        await QmpScenarios.All[scenario](qemu.SocketPath);
    }

    [Fact]
    public async Task The_peer_is_the_process_itself()
    {
        await using var qemu = await RealQemu.StartAsync();
        await using var client = await QmpClient.ConnectAsync(qemu.SocketPath);
        Assert.Equal(qemu.Process.Id, client.PeerProcessId);
    }

    [Fact]
    public async Task A_killed_qemu_ends_all_waits_with_one_reason()
    {
        await using var qemu = await RealQemu.StartAsync();
        await using var client = await QmpClient.ConnectAsync(qemu.SocketPath);
        using var listener = client.Listen();
        var waiting = listener.WaitForAsync(_ => false, TimeSpan.FromSeconds(30));
        qemu.Process.Kill();
        var reason = await client.Disconnected.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Same(reason, await Assert.ThrowsAsync<QmpDisconnectedException>(() => waiting));
    }

    [Fact]
    public async Task The_longest_answer_is_read()
    {
        await using var qemu = await RealQemu.StartAsync();
        await using var client = await QmpClient.ConnectAsync(qemu.SocketPath);
        var schema = await client.ExecuteAsync("query-qmp-schema");
        Assert.True(schema.GetArrayLength() > 100);
    }
}
