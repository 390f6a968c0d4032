using KvmSwitch.Core;
using KvmSwitch.Testing.Switching;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

/// <summary>An edge that doesn't heed its token does its work after everybody has given up on it.</summary>
[Collection(AloneOnThePool.Name)]
public sealed class LateEffectTests
{
    [Fact]
    public async Task A_device_that_is_attached_after_the_deadline_comes_home()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.Late(TimeSpan.FromSeconds(8)), Keyboard.Id);
        var failure = await rig.RefusedAsync(rig.Give(A, Keyboard));
        Assert.Equal(Failure.TimedOut, failure.Failure);
        await rig.UntilAsync(() => rig.World.LateAttaches > 0, "the late attach has its effect");
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "it is home", 10);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_device_that_is_attached_after_a_take_comes_home()
    {
        await using var rig = await StartedAsync();
        var release = new TaskCompletionSource();
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.LateUntil(release.Task), Pad.Id);
        var give = rig.Give(A, Pad);
        await rig.HitAsync();
        await rig.DriveAsync(rig.Take(Pad));
        await rig.RefusedAsync(give);
        release.SetResult();
        await rig.UntilAsync(() => rig.World.LateAttaches > 0, "the late attach has its effect");
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home", 10);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_device_that_is_opened_too_late_is_closed_and_not_attached()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Prepare, new WorldFault.Late(TimeSpan.FromSeconds(8)), Keyboard.Id);
        rig.World.Faults.Always(WorldCall.Attach, new WorldFault.Late(TimeSpan.Zero), Keyboard.Id);
        await rig.RefusedAsync(rig.Give(A, Keyboard));
        for (var steps = 0; steps < 200; steps++)
        {
            await rig.StepAsync();
            Assert.Empty(rig.World.HoldersOf(Keyboard.Id));
        }

        rig.AssertHome(Keyboard);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_late_attach_in_the_second_machine_never_meets_the_first()
    {
        await using var rig = await StartedAsync(Keyboard);
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.Late(TimeSpan.FromSeconds(8)), Keyboard.Id, B);
        await rig.RefusedAsync(rig.Give(B, Keyboard));
        Assert.Empty(rig.World.HoldersOf(Keyboard.Id));
        await rig.PassAsync(20);
        rig.AssertHome(Keyboard);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_detach_that_succeeds_late_leaves_the_device_home()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.Faults.Always(WorldCall.Detach, new WorldFault.Late(TimeSpan.FromSeconds(8)), Keyboard.Id);
        await rig.RefusedAsync(rig.Take(Keyboard));
        await rig.UntilAsync(() => rig.World.IsHome(Keyboard.Id), "it is home", 20);
        await rig.UntilAsync(() => rig.See(Keyboard).Handoff is null, "it rests", 20);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_look_from_before_a_give_does_not_undo_it()
    {
        await using var rig = await StartedAsync();
        var release = new TaskCompletionSource();
        rig.World.Faults.Next(WorldCall.ObserveMachine, new WorldFault.SlowUntil(release.Task), machine: B);
        rig.Switcher.LookAgain();
        await rig.HitAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        release.SetResult();
        await rig.PassAsync(5);
        rig.AssertIn(A, Keyboard);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_look_that_was_called_for_during_a_handoff_is_not_lost()
    {
        await using var rig = await StartedAsync();
        var release = new TaskCompletionSource();

        // The last look of the handoff: the keyboard is seen in place, the disk's answer is still out.
        rig.World.Faults.Next(WorldCall.ObserveHost, new WorldFault.SlowUntil(release.Task), Disk.Id, skip: 1);
        var give = rig.Give(A, Keyboard, Disk);
        await rig.HitAsync();
        rig.World.Unplug(Keyboard.Id);
        rig.Switcher.LookAgain();
        await SettleAsync();
        release.SetResult();
        await rig.DriveAsync(give);
        await rig.PassAsync(5);
        Assert.Equal(Whereabouts.Absent, rig.See(Keyboard).Placement.Where);
        Assert.Equal((Owner)A, rig.See(Keyboard).Owner);
    }

    [Fact]
    public async Task A_device_is_not_given_while_a_step_that_was_given_up_on_may_still_act()
    {
        await using var rig = await StartedAsync();
        var release = new TaskCompletionSource();
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.LateUntil(release.Task), Pad.Id);
        await rig.RefusedAsync(rig.Give(A, Pad));
        var refusal = await rig.RefusedAsync(rig.Give(B, Pad));
        Assert.Equal(Failure.Refused, refusal.Failure);
        Assert.Contains("has not ended yet", refusal.Message, StringComparison.Ordinal);
        release.SetResult();
        await rig.UntilAsync(() => rig.World.LateAttaches > 0, "the late attach has its effect");
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home", 10);
        await rig.DriveAsync(rig.Give(B, Pad));
        rig.AssertIn(B, Pad);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_machine_that_took_a_device_late_is_asked_before_another_gets_it()
    {
        await using var rig = await StartedAsync();
        var release = new TaskCompletionSource();
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.LateUntil(release.Task), Pad.Id, A);
        await rig.RefusedAsync(rig.Give(A, Pad));
        await rig.PassAsync(5);

        // The look that follows the late attach finds the machine silent, and the host says nothing against a virtual device.
        rig.World.Faults.Always(WorldCall.ObserveMachine, new WorldFault.FailBefore(), machine: A);
        release.SetResult();
        await rig.UntilAsync(() => rig.World.LateAttaches > 0, "the late attach has its effect");
        await rig.PassAsync(1);
        await rig.RefusedAsync(rig.Give(B, Pad));
        rig.World.Faults.Stop();
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home", 40);
        await rig.DriveAsync(rig.Give(B, Pad));
        rig.AssertIn(B, Pad);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_look_that_began_before_a_late_attach_clears_nobody()
    {
        await using var rig = await StartedAsync();
        var (attach, look) = (new TaskCompletionSource(), new TaskCompletionSource());
        rig.World.Faults.Next(WorldCall.Attach, new WorldFault.LateUntil(attach.Task), Pad.Id, A);
        var give = rig.Give(A, Pad);
        await rig.HitAsync();

        // The last look of the take: the machine has answered, the host not yet, when the attach takes its effect.
        rig.World.Faults.Next(WorldCall.ObserveHost, new WorldFault.SlowUntil(look.Task), Pad.Id, skip: 2);
        var take = rig.Take(Pad);
        await rig.RefusedAsync(give);
        await rig.HitAsync(2);
        rig.World.Faults.Always(WorldCall.ObserveMachine, new WorldFault.FailBefore(), machine: A);
        attach.SetResult();
        await rig.UntilAsync(() => rig.World.LateAttaches > 0, "the late attach has its effect");
        look.SetResult();
        await rig.DriveAsync(take);
        await rig.PassAsync(1);
        await rig.RefusedAsync(rig.Give(B, Pad));
        rig.World.Faults.Stop();
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home", 40);
        rig.AssertSound();
    }
}
