using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>A whole controller leaves only with its guest's consent: what is done to a guest that gives none.</summary>
public sealed class GuestUnplugTests
{
    private static readonly Device Card = new(
        DeviceId.Parse("card"), DeviceClass.Hid, new DeviceRoute.Controller([PciAddress.Parse("0000:03:00.0")]), new(0, 1)) { Slots = [0] };

    [Fact]
    public async Task A_guest_that_runs_is_only_asked()
    {
        await using var rig = await HoldingAsync();

        await rig.DetachAsync(Card);

        Assert.Equal(["device_del"], Acts(rig));
    }

    [Fact]
    public async Task A_paused_guest_runs_until_it_has_let_go_and_is_paused_again()
    {
        await using var rig = await HoldingAsync();
        await rig.Runtime.Client.StopAsync();

        await rig.EndsInTimeAsync(rig.DetachAsync(Card));

        Assert.Equal(["stop", "device_del", "cont", "stop"], Acts(rig));
        Assert.Equal(QmpRunState.Paused, (await rig.Runtime.Client.QueryStatusAsync()).State);
        Assert.Empty(await rig.ObserveAsync());
    }

    [Fact]
    public async Task A_guest_that_panicked_is_reset()
    {
        await using var rig = await HoldingAsync();
        await rig.Qemu.GuestPanicAsync();
        await rig.Told.WaitForAsync("lost guest-panic");

        await rig.EndsInTimeAsync(rig.DetachAsync(Card));

        Assert.Equal(["device_del", "system_reset"], Acts(rig));
        Assert.Empty(await rig.ObserveAsync());
    }

    [Fact]
    public async Task A_guest_that_hangs_is_reset_only_when_it_is_given_up()
    {
        await using var rig = await HoldingAsync();
        rig.Qemu.HangGuest();

        var refused = await Assert.ThrowsAsync<SwitchException>(() => rig.EndsInTimeAsync(rig.DetachAsync(Card)));

        Assert.Equal(Failure.TimedOut, refused.Failure);
        Assert.Equal(["card"], await rig.ObserveAsync());
        rig.Told.GivesUp = true;
        await rig.EndsInTimeAsync(rig.DetachAsync(Card));
        Assert.Equal("system_reset", Acts(rig)[^1]);
        Assert.Empty(await rig.ObserveAsync());
    }

    [Theory]
    [InlineData(QmpRunState.Running, false, false, Persuasion.None)]
    [InlineData(QmpRunState.Running, true, false, Persuasion.Reset)]
    [InlineData(QmpRunState.Running, false, true, Persuasion.Reset)]
    [InlineData(QmpRunState.Paused, false, true, Persuasion.Run)]
    [InlineData(QmpRunState.GuestPanicked, false, false, Persuasion.Reset)]
    [InlineData(QmpRunState.Suspended, false, true, Persuasion.None)]
    [InlineData(QmpRunState.FinishMigrate, true, true, Persuasion.None)]
    [InlineData(QmpRunState.IoError, false, true, Persuasion.None)]
    internal void Nothing_is_done_to_a_guest_that_sleeps_or_is_in_other_hands(QmpRunState state, bool hasPanicked, bool isGivenUp, Persuasion expected) =>
        Assert.Equal(expected, GuestUnplug.For(new(state, state == QmpRunState.Running, ""), hasPanicked, isGivenUp));

    private static async Task<MachineRig> HoldingAsync()
    {
        var rig = await MachineRig.ConnectedAsync();
        rig.Qemu.PlugIn(new(MachineRig.IdOf(Card), "vfio-pci", new JsonObject { ["host"] = "0000:03:00.0" }));
        return rig;
    }

    private static string[] Acts(MachineRig rig) =>
        [.. rig.Qemu.Commands.Select(command => command.Name).Where(name => name is "device_del" or "system_reset" or "stop" or "cont")];
}
