using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpScenarioTests
{
    public static TheoryData<string> Names => [.. QmpScenarios.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task On_the_fake(string scenario)
    {
        await using var qemu = FakeQemu.Start(SocketPath.New(), new FakeQemuOptions { Running = false });
        await QmpScenarios.All[scenario](qemu.SocketPath);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task On_the_fake_byte_by_byte(string scenario)
    {
        var options = new FakeQemuOptions { Running = false, Wire = new FakeWire { ChunkBytes = 1 } };
        await using var qemu = FakeQemu.Start(SocketPath.New(), options);
        await QmpScenarios.All[scenario](qemu.SocketPath);
    }
}
