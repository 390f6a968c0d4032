using KvmSwitch.Core;
using KvmSwitch.Testing.Switching;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

[Collection(AloneOnThePool.Name)]
public sealed class GiveTests
{
    [Fact]
    public async Task A_set_arrives_whole_and_is_saved_and_recorded_with_its_steps()
    {
        await using var rig = await StartedAsync();
        var handoff = await rig.DriveAsync(rig.Give(A, Keyboard, Trackball, Disk));
        Assert.Equal(Outcome.Done, handoff.Outcome);
        Assert.Null(handoff.Error);
        rig.AssertIn(A, Keyboard, Trackball, Disk);
        Assert.Equal(
            ["attach keyboard", "attach trackball", "attach disk", "confirm disk", "confirm keyboard", "confirm trackball"],
            handoff.Steps.Take(3).Concat(handoff.Steps.Skip(3).OrderBy(step => step.Device.Value, StringComparer.Ordinal)).Select(Text));
        Assert.Equal(handoff, Assert.Single(rig.World.History));
        rig.AssertSound();
    }

    [Theory]
    [InlineData(WorldCall.Prepare)]
    [InlineData(WorldCall.Attach)]
    [InlineData(WorldCall.Confirm)]
    public async Task When_the_second_of_three_fails_all_go_back_last_in_first_out(WorldCall failing)
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(failing, new WorldFault.FailBefore(), Trackball.Id);
        var failure = await rig.RefusedAsync(rig.Give(A, Keyboard, Trackball, Disk));
        Assert.Equal(Failure.Failed, failure.Failure);
        await SettleAsync();
        rig.AssertHome(Keyboard, Trackball, Disk);
        var record = Assert.Single(rig.World.History);
        Assert.Equal(Outcome.RolledBack, record.Outcome);
        var expected = failing == WorldCall.Confirm ? new[] { Disk, Trackball, Keyboard } : [Trackball, Keyboard];
        Assert.Equal(
            expected.SelectMany(device => new[] { $"undo detach {device.Id}", $"undo home {device.Id}" }),
            record.Steps.Where(step => step.Name.StartsWith("undo", StringComparison.Ordinal)).Select(Text));
        rig.AssertSound();
    }

    [Fact]
    public async Task A_guest_that_never_confirms_gets_nothing()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Hang(), Trackball.Id);
        var failure = await rig.RefusedAsync(rig.Give(A, Keyboard, Trackball, Disk));
        Assert.Equal(Failure.TimedOut, failure.Failure);
        Assert.Contains("waiting for alpha to see trackball", failure.Message, StringComparison.Ordinal);
        await SettleAsync();
        rig.AssertHome(Keyboard, Trackball, Disk);
        Assert.Equal(Outcome.TimedOut, Assert.Single(rig.World.History).Outcome);
        rig.AssertSound();
    }

    [Fact]
    public async Task Hid_is_not_given_without_a_live_agent_and_the_way_out_is_told()
    {
        await using var rig = new SwitchRig();
        await rig.StartAsync();
        var failure = await rig.RefusedAsync(rig.Give(A, Disk, Keyboard));
        Assert.Equal(Failure.Refused, failure.Failure);
        Assert.Contains("no agent is live in alpha", failure.Message, StringComparison.Ordinal);
        Assert.Contains("kvmswitch give keyboard --for 2m", failure.Message, StringComparison.Ordinal);
        Assert.Empty(rig.World.History);
        rig.AssertHome(Keyboard, Disk);
    }

    [Fact]
    public async Task A_machine_that_is_off_is_refused()
    {
        await using var rig = await StartedAsync();
        rig.World.Exit(A);
        rig.Switcher.GuestLost(A, Gesture.MachineExit);
        var failure = await rig.RefusedAsync(rig.Give(A, Disk));
        Assert.Equal(Failure.Refused, failure.Failure);
        Assert.Contains("kvmswitch vm start alpha", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_two_gives_at_once_the_second_is_refused()
    {
        await using var rig = await StartedAsync();
        var release = new TaskCompletionSource();
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.SlowUntil(release.Task));
        var first = rig.Give(A, Keyboard, Disk);
        await rig.HitAsync();
        var failure = await rig.RefusedAsync(rig.Give(B, Disk));
        Assert.Equal(Failure.Refused, failure.Failure);
        Assert.Contains("kvmswitch take disk", failure.Message, StringComparison.Ordinal);
        release.SetResult();
        Assert.Equal(Outcome.Done, (await rig.DriveAsync(first)).Outcome);
        rig.AssertIn(A, Keyboard, Disk);
        rig.AssertSound();
    }

    [Theory]
    [InlineData(WorldCall.ObserveHost)]
    [InlineData(WorldCall.Save)]
    [InlineData(WorldCall.Prepare)]
    [InlineData(WorldCall.Attach)]
    [InlineData(WorldCall.Confirm)]
    public async Task A_take_ends_a_give_that_hangs(WorldCall hanging)
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(hanging, new WorldFault.HangAfter());
        var give = rig.Give(A, Keyboard, Disk);
        await rig.HitAsync();
        Assert.Equal(Outcome.Unchanged, (await rig.DriveAsync(rig.Take(Keyboard))).Outcome);
        var failure = await rig.RefusedAsync(give);
        Assert.Contains("somebody asked for the devices back", failure.Message, StringComparison.Ordinal);
        await SettleAsync();
        rig.AssertHome(Keyboard, Disk);
        rig.AssertSound();
    }

    [Fact]
    public async Task Moving_from_machine_to_machine_goes_by_way_of_home()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        var handoff = await rig.DriveAsync(rig.Give(B, Keyboard));
        Assert.Equal([A], handoff.From.Select(owner => owner.Machine!.Value));
        Assert.Equal(["detach keyboard", "home keyboard", "attach keyboard", "confirm keyboard"], handoff.Steps.Select(Text));
        rig.AssertIn(B, Keyboard);
        rig.AssertSound();
    }

    [Theory]
    [InlineData(WorldCall.Detach, false)]
    [InlineData(WorldCall.Detach, true)]
    [InlineData(WorldCall.Restore, false)]
    [InlineData(WorldCall.Attach, false)]
    [InlineData(WorldCall.Attach, true)]
    [InlineData(WorldCall.Confirm, false)]
    public async Task A_move_from_machine_to_machine_that_fails_ends_where_it_began(WorldCall failing, bool afterEffect)
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Trackball));
        rig.World.Faults.Next(failing, afterEffect ? new WorldFault.FailAfter() : new WorldFault.FailBefore(), Trackball.Id);
        await rig.RefusedAsync(rig.Give(B, Keyboard, Trackball));
        await SettleAsync();
        rig.AssertIn(A, Keyboard, Trackball);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_device_that_the_second_machine_may_still_hold_does_not_go_back_to_the_first()
    {
        await using var rig = await StartedAsync(Pad, Keyboard);
        await rig.DriveAsync(rig.Give(A, Pad));
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.FailBefore(), Pad.Id, B);
        rig.World.Faults.Next(WorldCall.Detach, new WorldFault.FailBefore(), Pad.Id, B);
        await rig.RefusedAsync(rig.Give(B, Pad));
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home");
        Assert.Empty(rig.World.Violations);
    }

    [Fact]
    public async Task A_take_during_a_move_from_machine_to_machine_does_not_go_back_by_way_of_the_first()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Hang(), Keyboard.Id, B);
        var give = rig.Give(B, Keyboard);
        await rig.HitAsync();
        await rig.DriveAsync(rig.Take(Keyboard));
        await rig.RefusedAsync(give);
        await SettleAsync();
        Assert.Equal(["undo detach", "undo home", "undo detach", "undo home"], rig.World.History[1].Steps.Skip(4).Select(step => step.Name));
        rig.AssertHome(Keyboard);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_failure_says_where_the_devices_are_and_not_more()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.FailBefore(), Keyboard.Id);
        rig.World.Faults.Next(WorldCall.Restore, new WorldFault.FailBefore(), Keyboard.Id);
        var failure = await rig.RefusedAsync(rig.Give(A, Keyboard));
        Assert.DoesNotContain("everything is back", failure.Message, StringComparison.Ordinal);
        Assert.Equal(Outcome.Failed, Assert.Single(rig.World.History).Outcome);
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "it is home", 5);
    }

    [Fact]
    public async Task A_second_confirmation_that_breaks_in_a_foreign_way_still_rolls_everything_back()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Throws(new SwitchException(Failure.Failed, "gone")), Keyboard.Id);
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Throws(new IOException("broken pipe")), Disk.Id);
        var failure = await rig.RefusedAsync(rig.Give(A, Keyboard, Disk));
        Assert.DoesNotContain("internal error", failure.Message, StringComparison.Ordinal);
        await SettleAsync();
        rig.AssertHome(Keyboard, Disk);
        rig.AssertSound();
    }

    private static string Text(HandoffStep step) => $"{step.Name} {step.Device}";
}
