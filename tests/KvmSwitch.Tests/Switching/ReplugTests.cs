using KvmSwitch.Core;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

/// <summary>A device is unplugged while a machine owns it.</summary>
[Collection(AloneOnThePool.Name)]
public sealed class ReplugTests
{
    [Fact]
    public async Task It_goes_back_to_its_owner_when_it_is_plugged_in_again()
    {
        await using var rig = await GivenAndUnpluggedAsync();
        await PlugAsync(rig);
        await rig.UntilAsync(() => rig.World.HoldersOf(Keyboard.Id).Contains(A), "it is back in the machine", 1);
        await rig.UntilAsync(() => rig.World.History[^1].Gesture == Gesture.Replug, "the history tells why", 1);
        Assert.Equal(Outcome.Done, rig.World.History[^1].Outcome);
        rig.AssertSound();
    }

    [Fact]
    public async Task It_goes_back_also_when_its_absence_was_never_seen()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.Unplug(Keyboard.Id);
        await PlugAsync(rig);
        await rig.UntilAsync(() => rig.World.HoldersOf(Keyboard.Id).Contains(A), "it is back in the machine", 1);
        rig.AssertSound();
    }

    [Fact]
    public async Task Taken_meanwhile_it_stays_home()
    {
        await using var rig = await GivenAndUnpluggedAsync();
        await rig.DriveAsync(rig.Take(Keyboard));
        await PlugAsync(rig);
        await rig.PassAsync(10);
        rig.AssertHome(Keyboard);
        rig.AssertSound();
    }

    [Fact]
    public async Task It_comes_home_when_the_lease_ran_out_meanwhile()
    {
        await using var rig = await GivenAndUnpluggedAsync();
        rig.AgentSilent(A);
        await rig.PassAsync(5);
        await PlugAsync(rig);
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "it is home", 2);
        rig.AssertSound();
    }

    [Fact]
    public async Task Plugged_in_twice_in_quick_succession_it_comes_home()
    {
        await using var rig = await GivenAndUnpluggedAsync();
        await PlugAsync(rig);
        await rig.PassAsync(1);
        rig.World.Unplug(Keyboard.Id);
        rig.Switcher.LookAgain();
        await rig.PassAsync(0.5);
        await PlugAsync(rig);
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id) && rig.See(Keyboard).Owner.IsHost, "it is home", 2);
        await rig.PassAsync(10);
        rig.AssertHome(Keyboard);
        Assert.Contains(rig.World.History, handoff => handoff.Gesture == Gesture.Rescue);
        rig.AssertSound();
    }

    [Fact]
    public async Task Plugged_in_twice_at_leisure_it_goes_back_both_times()
    {
        await using var rig = await GivenAndUnpluggedAsync();
        await PlugAsync(rig);
        await rig.PassAsync(4);
        rig.World.Unplug(Keyboard.Id);
        rig.Switcher.LookAgain();
        await rig.PassAsync(0.5);
        await PlugAsync(rig);
        await rig.UntilAsync(() => rig.World.HoldersOf(Keyboard.Id).Contains(A), "it is back in the machine", 1);
        rig.AssertSound();
    }

    private static async Task<SwitchRig> GivenAndUnpluggedAsync()
    {
        var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.Unplug(Keyboard.Id);
        rig.Switcher.LookAgain();
        await rig.UntilAsync(() => rig.See(Keyboard).Placement.Where == Whereabouts.Absent, "it is seen to be absent", 1);
        Assert.Equal((Owner)A, rig.See(Keyboard).Owner);
        return rig;
    }

    private static async Task PlugAsync(SwitchRig rig)
    {
        rig.World.Plug(Keyboard.Id);
        rig.Switcher.PluggedIn(Keyboard.Id);
        await SettleAsync();
    }
}
