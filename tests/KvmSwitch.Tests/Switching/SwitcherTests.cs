using KvmSwitch.Core;
using KvmSwitch.Testing.Switching;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

[Collection(AloneOnThePool.Name)]
public sealed class SwitcherTests
{
    [Fact]
    public async Task A_request_that_names_nothing_is_answered()
    {
        await using var rig = await StartedAsync();
        Assert.Equal(Failure.Usage, (await rig.RefusedAsync(rig.Take([]))).Failure);
        Assert.Equal(Failure.Usage, (await rig.RefusedAsync(rig.Give(A, []))).Failure);
    }

    [Fact]
    public async Task Unknown_names_are_refused_and_the_daemon_lives_on()
    {
        await using var rig = await StartedAsync();
        var unknown = DeviceId.Parse("keybaord");
        var failure = await rig.RefusedAsync(rig.Switcher.RequestAsync(new([unknown], A, Gesture.Cli)));
        Assert.Equal(Failure.Usage, failure.Failure);
        Assert.Contains("keybaord", failure.Message, StringComparison.Ordinal);
        failure = await rig.RefusedAsync(rig.Give(MachineId.Parse("gamma"), Disk));
        Assert.Equal(Failure.Usage, failure.Failure);
        Assert.Equal(Outcome.Done, (await rig.DriveAsync(rig.Give(A, Keyboard))).Outcome);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MaxValue)]
    public async Task A_senseless_time_limit_is_refused_and_the_daemon_lives_on(long ticks)
    {
        await using var rig = await StartedAsync();
        var failure = await rig.RefusedAsync(rig.GiveFor(TimeSpan.FromTicks(ticks), A, Keyboard));
        Assert.Equal(Failure.Usage, failure.Failure);
        Assert.Equal(Outcome.Done, (await rig.DriveAsync(rig.Give(A, Keyboard))).Outcome);
    }

    [Fact]
    public async Task News_of_an_unknown_machine_does_no_harm()
    {
        await using var rig = await StartedAsync();
        var gone = MachineId.Parse("gamma");
        rig.Switcher.MachineUp(gone);
        rig.Switcher.AgentConnected(gone, 7);
        rig.Switcher.Heartbeat(gone, 7);
        rig.Switcher.GuestLost(gone, Gesture.GuestReset);
        Assert.Equal(Outcome.Done, (await rig.DriveAsync(rig.Give(A, Keyboard))).Outcome);
    }

    [Fact]
    public async Task Watching_ends_up_with_the_latest_state_and_who_is_told_finds_it_so()
    {
        await using var rig = await StartedAsync();
        using var stop = new CancellationTokenSource();
        Snapshot? last = null;
        var watching = Task.Run(async () =>
        {
            await foreach (var snapshot in rig.Switcher.WatchAsync(stop.Token)) Volatile.Write(ref last, snapshot);
        });
        for (var round = 0; round < 20; round++)
        {
            await rig.DriveAsync(rig.Give(A, Keyboard));
            Assert.Equal(A, rig.See(Keyboard).Placement.Machine);
            await rig.DriveAsync(rig.Take(Keyboard));
            Assert.Equal(Whereabouts.Host, rig.See(Keyboard).Placement.Where);
        }

        await rig.UntilAsync(() => ReferenceEquals(Volatile.Read(ref last), rig.Switcher.Current), "the watcher has the latest", 1);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
    }

    [Fact]
    public async Task The_history_has_one_record_for_each_handoff_and_no_noise()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Disk));
        await rig.DriveAsync(rig.Give(A, Keyboard));
        for (var look = 0; look < 20; look++) rig.Switcher.LookAgain();
        await rig.PassAsync(5);
        rig.Switcher.GuestLost(B, Gesture.GuestReset);
        await rig.DriveAsync(rig.TakeAll());
        Assert.Equal([Outcome.Done, Outcome.Unchanged, Outcome.Done], rig.World.History.Select(handoff => handoff.Outcome));
        Assert.Equal(3, rig.World.History.Select(handoff => handoff.Id).Distinct().Count());
        Assert.Empty(rig.World.History[1].Steps);
        Assert.Equal([A, A, Owner.Host, Owner.Host], rig.World.History[2].From.Order(Comparer<Owner>.Create((a, b) => a.IsHost.CompareTo(b.IsHost))));
    }

    [Fact]
    public async Task What_a_handoff_sets_off_is_looked_at_once_it_is_over()
    {
        await using var rig = await StartedAsync();
        var released = new TaskCompletionSource();
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.SlowUntil(released.Task));
        var giving = rig.Give(A, Keyboard);
        await rig.HitAsync();
        rig.World.Unbind(Disk.Id);
        for (var look = 0; look < 20; look++) rig.Switcher.LookAgain();
        await SettleAsync();
        Assert.False(rig.World.IsHome(Disk.Id));

        released.SetResult();
        await rig.DriveAsync(giving);
        await rig.UntilAsync(() => rig.World.IsHome(Disk.Id), "the disk is home", 0.4);
        rig.AssertSound();
    }

    [Fact]
    public async Task A_handoff_that_takes_long_does_not_keep_the_others_from_being_looked_at()
    {
        await using var rig = await StartedAsync();
        rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Hang());
        var giving = rig.Give(A, Keyboard);
        await rig.HitAsync();
        rig.World.Unbind(Disk.Id);
        rig.Switcher.LookAgain();
        await rig.UntilAsync(() => rig.World.IsHome(Disk.Id), "the disk is home", 0.7);
        Assert.False(giving.IsCompleted);
        await rig.RefusedAsync(giving);
        rig.AssertSound();
    }

    [Fact]
    public async Task Handoffs_of_two_lives_in_one_second_have_different_names()
    {
        await using var rig = await StartedAsync();
        var first = await rig.DriveAsync(rig.Give(A, Keyboard));
        await rig.StepAsync();
        await rig.RestartAsync();
        var second = await rig.DriveAsync(rig.Take(Keyboard));
        Assert.NotEqual(first.Id, second.Id);
    }

    [Fact]
    public async Task Dispose_waits_for_a_handoff_and_saves_what_it_ended_with()
    {
        for (var round = 0; round < 20; round++)
        {
            await using var rig = await StartedAsync();
            await rig.DriveAsync(rig.Give(A, Keyboard, Disk));
            await SettleAsync();
            var release = new TaskCompletionSource();
            rig.World.Faults.Next(WorldCall.Detach, new WorldFault.SlowUntil(release.Task), Keyboard.Id);
            var take = rig.Take(Keyboard, Disk);
            await rig.HitAsync();
            var closing = rig.Switcher.DisposeAsync().AsTask();
            await SettleAsync();
            Assert.False(closing.IsCompleted);
            var late = await rig.RefusedAsync(rig.Take(Pad));
            Assert.Equal(Failure.Refused, late.Failure);
            release.SetResult();
            await rig.DriveAsync(closing);
            Assert.True(take.IsCompletedSuccessfully);
            Assert.Empty(rig.World.Saved);
            await rig.RefusedAsync(rig.Take(Pad));
        }
    }

    [Fact]
    public async Task Dispose_twice_and_before_the_start_is_harmless()
    {
        var rig = new SwitchRig();
        await rig.DriveAsync(rig.Switcher.DisposeAsync().AsTask());
        await rig.DriveAsync(rig.Switcher.DisposeAsync().AsTask());
        Assert.Equal(Failure.Refused, (await rig.RefusedAsync(rig.Take(Keyboard))).Failure);
    }

    [Fact]
    public async Task Dispose_does_not_wait_for_ever_for_a_disk_that_hangs()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard));
        rig.World.Faults.Always(WorldCall.Save, new WorldFault.LateUntil(new TaskCompletionSource().Task));
        await rig.DriveAsync(rig.Take(Keyboard));
        var closing = rig.Switcher.DisposeAsync().AsTask();
        await rig.UntilAsync(() => closing.IsCompleted, "it is closed", 30);
    }

    [Fact]
    public async Task What_is_saved_last_is_what_is_wanted_last()
    {
        await using var rig = await StartedAsync();
        var release = new TaskCompletionSource();
        for (var round = 0; round < 10; round++)
        {
            // The keyboard's give is held between its wish and its save; the pad's comes and goes meanwhile.
            release = new();
            var hits = rig.World.Faults.Hits;
            rig.World.Faults.Next(WorldCall.ObserveHost, new WorldFault.SlowUntil(release.Task), Keyboard.Id);
            var slow = rig.Give(A, Keyboard);
            await rig.HitAsync(hits + 1);
            await rig.DriveAsync(rig.Give(B, Pad));
            rig.World.Faults.Next(WorldCall.Confirm, new WorldFault.Hang(), Keyboard.Id);
            release.SetResult();
            await rig.HitAsync(hits + 2);
            Assert.True(rig.World.Saved.ContainsKey(Pad.Id), "a finished give was forgotten on the disk");
            await rig.DriveAsync(rig.TakeAll());
            await rig.RefusedAsync(slow);
            await rig.UntilAsync(() => rig.World.Saved.IsEmpty, "nothing is given", 1);
        }
    }
}
