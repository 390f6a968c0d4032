using KvmSwitch.Core;
using KvmSwitch.Testing.Linux;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static KvmSwitch.Tests.Pci.ControllerRig;

namespace KvmSwitch.Tests.Pci;

/// <summary>A driver that hangs in the kernel: nobody waits for it longer than the deadline, and what it does later harms nobody.</summary>
public sealed class HangingDriverTests : IDisposable
{
    private readonly FakeTimeProvider _clock = new();
    private readonly ControllerRig _rig;

    public HangingDriverTests()
    {
        _rig = new() { Clock = _clock };
        _rig.Restart();
    }

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData("unbind", PciFault.Hangs, "making ehci-pci let go of")]
    [InlineData("unbind", PciFault.HangsAfter, "making ehci-pci let go of")]
    [InlineData("drivers_probe", PciFault.Hangs, "finding a driver for")]
    [InlineData("driver_override", PciFault.Hangs, "choosing a driver for")]
    public async Task Preparing_gives_up_and_says_what_hangs_and_restoring_goes_on_when_it_ends(string file, PciFault fault, string doing)
    {
        _rig.Pci.Faults.Choose = write => write.File == file ? fault : PciFault.None;

        var preparing = Refused(_rig.Side.PrepareAsync(Ports, Qemu, force: false, CancellationToken.None));
        await AdvanceUntilAsync(preparing);
        Assert.Equal(
            $"the kernel has been {doing} 0000:00:1a.0 for 6 s and can't be interrupted; if it never ends, only a restart of the computer frees the device",
            await preparing);

        var restoring = Refused(_rig.Side.RestoreAsync(Ports, CancellationToken.None));
        await AdvanceUntilAsync(restoring);
        Assert.StartsWith($"the kernel has been {doing} 0000:00:1a.0 for ", await restoring, StringComparison.Ordinal);
        Assert.Equal(1, _rig.Pci.Faults.Hanging);

        _rig.Pci.Faults.LetGo();
        var home = _rig.Side.RestoreAsync(Ports, CancellationToken.None);
        await AdvanceUntilAsync(home);
        await home;
        Assert.Equal(("ehci-pci", ""), (_rig.Pci.DriverOf(Ehci), _rig.Pci.OverrideOf(Ehci)));
    }

    [Fact]
    public async Task Wresting_from_a_QEMU_that_does_not_let_go_says_what_ends_it_and_its_end_brings_the_device_home()
    {
        var preparing = _rig.PrepareAsync(Ports);
        await AdvanceUntilAsync(preparing);
        using var attachment = await preparing;
        _rig.Pci.Faults.Choose = write => write.Driver == PciTree.Vfio ? PciFault.Hangs : PciFault.None;

        var wresting = Refused(_rig.Side.WrestAsync(Ports, CancellationToken.None));
        await AdvanceUntilAsync(wresting);
        Assert.Equal(
            "the kernel has been making vfio-pci let go of 0000:00:1a.0 for 6 s and can't be interrupted; the machine that has it doesn't let go: " +
            "'kvmswitch vm kill' frees it",
            await wresting);

        var restoring = _rig.Side.RestoreAsync(Ports, CancellationToken.None);
        _rig.Pci.Faults.LetGo();
        await AdvanceUntilAsync(restoring);
        await restoring;
        Assert.Equal(("ehci-pci", ""), (_rig.Pci.DriverOf(Ehci), _rig.Pci.OverrideOf(Ehci)));
    }

    [Fact]
    public async Task Looking_goes_on_while_a_driver_hangs()
    {
        _rig.Pci.Faults.Choose = _ => PciFault.Hangs;
        var preparing = Refused(_rig.Side.PrepareAsync(Ports, Qemu, force: false, CancellationToken.None));
        await AdvanceUntilAsync(preparing);

        Assert.Equal(HostSight.Unserved, await _rig.LookAsync(Ports));
        Assert.Equal(HostSight.Served, await _rig.LookAsync(Named("0000:00:1d.0")));
    }

    [Fact]
    public async Task Another_device_is_given_while_one_hangs()
    {
        _rig.Pci.Faults.Choose = write => write.Function == Ehci ? PciFault.Hangs : PciFault.None;
        await AdvanceUntilAsync(Refused(_rig.Side.PrepareAsync(Ports, Qemu, force: false, CancellationToken.None)));

        var other = _rig.Side.PrepareAsync(Named("0000:00:1d.0"), Qemu, force: false, CancellationToken.None);
        await AdvanceUntilAsync(other);

        using var attachment = await other;
        Assert.Equal("vfio-pci", _rig.Pci.DriverOf("0000:00:1d.0"));
    }

    [Fact]
    public async Task Cancelled_while_it_hangs_it_does_nothing_more_afterwards()
    {
        _rig.Pci.Faults.Choose = write => write.File == "unbind" ? PciFault.Hangs : PciFault.None;
        using var patience = new CancellationTokenSource();
        var preparing = _rig.Side.PrepareAsync(Ports, Qemu, force: false, patience.Token);
        await UntilAsync(() => _rig.Pci.Faults.Hanging == 1);

        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => preparing.WaitAsync(Deadline));
        _rig.Pci.Faults.LetGo();
        await UntilAsync(() => _rig.Pci.DriverOf(Ehci) is null);
        Assert.Equal(["driver_override", "unbind"], _rig.Pci.Faults.Writes.Select(write => write.File));
    }

    private static async Task<string> Refused(Task act) => await RefusedAsync(() => act, Failure.TimedOut);

    private static async Task UntilAsync(Func<bool> look)
    {
        using var patience = new CancellationTokenSource(Deadline);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!look()) await timer.WaitForNextTickAsync(patience.Token);
    }

    private async Task AdvanceUntilAsync(Task task)
    {
        // What waits for the fake clock may not have begun to wait yet.
        await UntilAsync(() =>
        {
            if (!task.IsCompleted) _clock.Advance(TimeSpan.FromMilliseconds(50));
            return task.IsCompleted;
        });
    }
}
