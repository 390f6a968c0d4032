using KvmSwitch.Core;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Block;

public sealed class QemuOpticalDriveTests
{
    public static TheoryData<string> Names => [.. OpticalDriveScenarios.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task On_the_fake_qemu(string scenario)
    {
        await using var qemu = FakeQemu.Start(SocketPath.New(), new() { Running = false });
        await OpticalDriveScenarios.RunAsync(scenario, qemu.SocketPath);
        Assert.Empty(qemu.FdSets);
    }

    [Fact]
    public void A_node_has_a_name_that_QEMU_takes_and_no_other_device_has()
    {
        var names = new[] { "a", "bluray-in-the-left-bay-of-pc", "bluray-in-the-left-bay-of-pc-two", "bluray-in-the-left-bay-of-pc-one" }
            .Select(DeviceId.Parse).SelectMany(device => new[] { QemuOpticalDrive.NodeName(device), QemuOpticalDrive.ClaimName(device) }).ToArray();

        Assert.Equal(["kvmswitch-a", "kvmswitch-a.claim"], names[..2]);
        Assert.All(names, name => Assert.InRange(name.Length, 1, 31));
        Assert.Equal(8, names.Distinct().Count());
    }
}
