using KvmSwitch.SystemTests.Qmp;
using KvmSwitch.Tests.Block;
using Xunit;

namespace KvmSwitch.SystemTests.Block;

public sealed class QemuOpticalDriveTests
{
    public static TheoryData<string> Names => [.. OpticalDriveScenarios.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task On_the_real_qemu(string scenario)
    {
        await using var qemu = await RealQemu.StartAsync();
        await OpticalDriveScenarios.RunAsync(scenario, qemu.SocketPath);
    }
}
