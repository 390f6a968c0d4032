using KvmSwitch.Core;
using KvmSwitch.Testing.Switching;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

[Collection(AloneOnThePool.Name)]
public sealed class HomecomingTests
{
    [Fact]
    public async Task A_lease_that_runs_out_brings_hid_home_and_leaves_storage()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Disk));
        rig.AgentSilent(A);
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "the keyboard is home", 2.6);
        await rig.PassAsync(30);
        rig.AssertHome(Keyboard);
        rig.AssertIn(A, Disk);
        Assert.Equal([Gesture.Cli, Gesture.Lease], rig.World.History.Select(handoff => handoff.Gesture));
        rig.AssertSound();
    }

    [Fact]
    public async Task A_lease_holds_until_exactly_its_end()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.AgentSilent(A);
        var session = rig.AgentUp(A);
        rig.AgentSilent(A);
        await SettleAsync();
        await rig.PassAsync(1.95);
        Assert.True(rig.Switcher.Current.Find(A)!.AgentLive);
        rig.Switcher.Heartbeat(A, session);
        await SettleAsync();
        await rig.PassAsync(1.95);
        Assert.True(rig.Switcher.Current.Find(A)!.AgentLive);
        await rig.PassAsync(0.1);
        Assert.False(rig.Switcher.Current.Find(A)!.AgentLive);
        rig.Switcher.Heartbeat(A, session);
        await rig.UntilAsync(() => rig.Switcher.Current.Find(A)!.AgentLive, "the same session is live again", 0);
    }

    [Fact]
    public async Task The_wall_clock_does_not_touch_a_lease()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.Clock.Jump(TimeSpan.FromDays(400));
        await rig.PassAsync(5);
        rig.AssertIn(A, Keyboard);
        rig.AgentSilent(A);
        rig.Clock.Jump(TimeSpan.FromDays(-800));
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "the keyboard is home", 2.6);
    }

    [Theory]
    [InlineData(Gesture.GuestReset)]
    [InlineData(Gesture.GuestShutdown)]
    [InlineData(Gesture.GuestPanic)]
    [InlineData(Gesture.MachineExit)]
    public async Task A_guest_that_is_gone_loses_all_it_held_and_its_old_session(string gesture)
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Disk, Pad));
        await rig.DriveAsync(rig.Give(B, Trackball));
        if (gesture == Gesture.MachineExit) rig.World.Exit(A);
        rig.Switcher.GuestLost(A, gesture);
        await rig.UntilAsync(() => rig.World.History.Length == 3, "it is recorded", 0.2);
        await rig.PassAsync(3);
        rig.AssertHome(Keyboard, Disk, Pad);
        rig.AssertIn(B, Trackball);
        Assert.False(rig.Switcher.Current.Find(A)!.AgentLive);
        Assert.Equal(gesture, rig.World.History[2].Gesture);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_guest_that_dies_in_the_middle_of_a_give_gets_nothing()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Dies(A), Disk.Id);
        var give = rig.Give(A, Keyboard, Disk);
        await rig.HitAsync();
        rig.Switcher.GuestLost(A, Gesture.MachineExit);
        await rig.RefusedAsync(give);
        await rig.UntilAsync(() => rig.See(Keyboard).Handoff is null && rig.See(Disk).Handoff is null, "all rests", 5);
        await SettleAsync();
        rig.AssertHome(Keyboard, Disk);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_time_limit_needs_no_agent_and_brings_the_device_home_by_itself()
    {
        await using var rig = new SwitchRig();
        await rig.StartAsync();
        await rig.DriveAsync(rig.GiveFor(TimeSpan.FromMinutes(2), A, Keyboard));
        rig.AssertIn(A, Keyboard);
        await rig.PassAsync(119);
        rig.AssertIn(A, Keyboard);
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "the time is over", 2);
        await SettleAsync();
        rig.AssertHome(Keyboard);
        Assert.Equal(Gesture.TimeLimit, rig.World.History[^1].Gesture);
        rig.AssertSound();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(400)]
    [InlineData(-400)]
    public async Task A_time_limit_survives_a_restart_and_jumps_of_the_wall_clock(int days)
    {
        await using var rig = new SwitchRig();
        await rig.StartAsync();
        await rig.DriveAsync(rig.GiveFor(TimeSpan.FromMinutes(2), A, Keyboard));
        await rig.PassAsync(60);
        rig.Clock.Jump(TimeSpan.FromDays(days));
        await rig.RestartAsync();
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "the time is over", days switch { 0 => 61, > 0 => 1, _ => 121 });
        await SettleAsync();
        rig.AssertHome(Keyboard);
        rig.AssertSound();
    }

    [Theory]
    [InlineData(90)]
    [InlineData(3650)]
    public async Task A_very_long_time_limit_is_no_trouble(int days)
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.GiveFor(TimeSpan.FromDays(days), A, Keyboard));
        await rig.DriveAsync(rig.Take(Keyboard));
        await SettleAsync();
        rig.AssertHome(Keyboard);
    }

    [Fact]
    public async Task A_take_brings_home_although_the_disk_is_full()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.Faults.Always(WorldCall.Save, new WorldFault.FailBefore());
        Assert.Equal(Outcome.Done, (await rig.DriveAsync(rig.Take(Keyboard))).Outcome);
        Assert.True(rig.World.IsHome(Keyboard.Id));
        await rig.UntilAsync(() => rig.World.ReportedFailures > 0, "the failure is reported", 1);
        rig.World.Faults.Stop();
        await rig.UntilAsync(() => rig.World.Saved.IsEmpty, "it is saved once that works again", 120);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_give_with_a_full_disk_touches_nothing(bool hangs)
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Always(WorldCall.Save, hangs ? new WorldFault.Hang() : new WorldFault.FailBefore());
        var failure = await rig.RefusedAsync(rig.Give(A, Keyboard, Disk));
        Assert.Contains("writing the state", failure.Message, StringComparison.Ordinal);
        Assert.Empty(Assert.Single(rig.World.History).Steps);
        Assert.True(rig.World.IsHome(Keyboard.Id));
        rig.AssertSound();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_relayed_waits_for_no_disk_as_it_is_home_whenever_the_daemon_ends(bool hangs)
    {
        await using var rig = await StartedAsync(Relayed, Keyboard);
        rig.World.Faults.Always(WorldCall.Save, hangs ? new WorldFault.Hang() : new WorldFault.FailBefore());
        await rig.DriveAsync(rig.Give(A, Relayed));
        Assert.Equal([A], rig.World.HoldersOf(Relayed.Id));
        await rig.UntilAsync(() => rig.World.ReportedFailures > 0, "the failure is reported", 10);
        Assert.Contains("writing the state", (await rig.RefusedAsync(rig.Give(A, Keyboard))).Message, StringComparison.Ordinal);
        await rig.DriveAsync(rig.Take(Relayed));
        rig.AssertHome(Relayed, Keyboard);
        rig.World.Faults.Stop();
        await rig.UntilAsync(() => rig.World.Saved.IsEmpty, "it is saved once that works again", 120);
    }

    [Fact]
    public async Task A_hung_machine_does_not_hold_up_the_devices_of_another()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        foreach (var call in new[] { WorldCall.ObserveMachine, WorldCall.Attach, WorldCall.Detach })
            rig.World.Faults.Always(call, new WorldFault.Hang(), machine: B);
        rig.Switcher.LookAgain();
        var take = rig.Take(Keyboard);
        await rig.UntilAsync(() => take.IsCompleted, "the keyboard is home", 0.5);
        var give = rig.Give(A, Keyboard, Trackball);
        await rig.UntilAsync(() => give.IsCompleted, "the set is given", 0.5);
        await give;
        await rig.PassAsync(10);
        rig.AssertIn(A, Keyboard, Trackball);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_take_does_not_wait_for_the_way_back_of_a_handoff_that_failed()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Disk));
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.FailBefore(), Disk.Id, B);
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.Hang(), Disk.Id, A);
        var give = rig.Give(B, Keyboard, Disk);
        await rig.HitAsync(2);
        var (start, take) = (rig.Clock.GetTimestamp(), rig.Take(Keyboard, Disk));
        await rig.DriveAsync(take);
        Assert.InRange(rig.Clock.GetElapsedTime(start), TimeSpan.Zero, TimeSpan.FromSeconds(2));
        await rig.RefusedAsync(give);
        rig.AssertHome(Keyboard, Disk);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_second_take_does_not_forget_the_machine_that_may_hold_the_device()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Hang(), Pad.Id);
        rig.World.Faults.Always(WorldCall.Detach, new WorldFault.FailBefore(), Pad.Id);
        var give = rig.Give(A, Pad);
        await rig.HitAsync();
        var takes = new[] { rig.Take(Pad), rig.Take(Pad) };
        await rig.RefusedAsync(give);
        foreach (var take in takes) await rig.RefusedAsync(take);
        Assert.Equal([A], rig.World.HoldersOf(Pad.Id));
        rig.World.Faults.Stop();
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home", 60);
        await rig.UntilAsync(() => rig.See(Pad).Handoff is null, "it rests", 5);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_device_that_other_hands_put_into_two_machines_comes_home_from_both()
    {
        await using var rig = await StartedAsync();
        rig.World.PutInto(Pad.Id, A);
        rig.World.PutInto(Pad.Id, B);
        rig.Switcher.LookAgain();
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home", 10);
    }

    [Fact]
    public async Task A_given_device_that_other_hands_put_into_a_second_machine_too_comes_home()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.PutInto(Keyboard.Id, B);
        rig.Switcher.LookAgain();
        await rig.UntilAsync(() => rig.World.HoldersOf(Keyboard.Id).Count < 2, "it is in one place", 60);
    }

    [Fact]
    public async Task What_is_stuck_is_tried_for_ever_and_does_not_flood_the_history()
    {
        await using var rig = await StartedAsync();
        rig.World.NowhereBound = TimeSpan.FromDays(1);
        rig.World.Faults.Always(WorldCall.Restore, new WorldFault.FailBefore(), Keyboard.Id);
        rig.World.Unbind(Keyboard.Id);
        rig.Switcher.LookAgain();
        await rig.PassAsync(600);
        Assert.NotNull(rig.See(Keyboard).Trouble);
        Assert.InRange(rig.World.History.Length, 1, 3);
        rig.World.Faults.Stop();
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "it is home", 31);
        await rig.UntilAsync(() => rig.See(Keyboard).Trouble is null, "the trouble is over", 1);
        Assert.Equal(Outcome.Done, rig.World.History[^1].Outcome);
    }

    [Fact]
    public async Task A_homecoming_that_was_asked_for_twice_is_recorded_without_an_error()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        var release = new TaskCompletionSource();
        rig.World.Faults.Next(WorldCall.Restore, new WorldFault.SlowUntil(release.Task));
        var first = rig.Take(Keyboard);
        await rig.HitAsync();
        var second = rig.Take(Keyboard);
        await SettleAsync();
        release.SetResult();
        var handoff = await rig.DriveAsync(first);
        Assert.Equal(Outcome.Done, handoff.Outcome);
        Assert.Null(handoff.Error);
        Assert.Equal(Outcome.Unchanged, (await rig.DriveAsync(second)).Outcome);
    }
}
