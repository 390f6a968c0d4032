using KvmSwitch.Core;
using KvmSwitch.Testing.Switching;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

[Collection(AloneOnThePool.Name)]
public sealed class RestartTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Killed_at_any_call_of_a_give_all_or_nothing_is_given(bool afterEffect)
    {
        for (var at = 1; await KilledAsync(at, afterEffect, taking: false); at++) Assert.True(at < 60, "the give never ends");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Killed_at_any_call_of_a_take_every_device_is_home_or_still_given(bool afterEffect)
    {
        for (var at = 1; await KilledAsync(at, afterEffect, taking: true); at++) Assert.True(at < 60, "the take never ends");
    }

    [Fact]
    public async Task A_finished_give_survives_a_restart_when_the_agent_comes_back_in_time()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Disk));
        await SettleAsync();
        await rig.RestartAsync();
        await rig.PassAsync(10);
        rig.AssertIn(A, Keyboard, Disk);
        rig.AssertSound();
    }

    [Fact]
    public async Task After_a_restart_amid_a_handoff_the_machine_that_had_the_device_is_asked_before_another_gets_it()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Pad));
        rig.World.Faults.Next(WorldCall.Detach, new WorldFault.Hang(), Pad.Id, A);
        _ = rig.Give(B, Pad);
        await rig.HitAsync();
        rig.World.Faults.Always(WorldCall.ObserveMachine, new WorldFault.FailBefore(), machine: A);
        await rig.RestartAsync();
        await rig.RefusedAsync(rig.Give(B, Pad));
        rig.World.Faults.Stop();
        await rig.UntilAsync(() => rig.World.IsHome(Pad.Id), "it is home", 40);
        rig.AssertSound();
    }

    [Fact]
    public async Task After_a_restart_hid_comes_home_when_the_agent_stays_away()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Disk));
        await SettleAsync();
        rig.AgentSilent(A);
        await rig.RestartAsync();
        await rig.PassAsync(4.5);
        rig.AssertIn(A, Keyboard);
        await rig.PassAsync(1.5);
        rig.AssertHome(Keyboard);
        rig.AssertIn(A, Disk);
    }

    [Fact]
    public async Task An_unreadable_state_file_is_told_and_leaves_no_request_waiting()
    {
        await using var rig = new SwitchRig();
        rig.World.Unreadable = true;
        var failure = await Assert.ThrowsAsync<SwitchException>(() => rig.DriveAsync(Guarded(rig)));
        Assert.Contains("damaged", failure.Message, StringComparison.Ordinal);
        await rig.DriveAsync(rig.Switcher.DisposeAsync().AsTask());
        await rig.RefusedAsync(rig.Take(Keyboard));
    }

    [Fact]
    public async Task A_device_that_left_the_configuration_leaves_the_state_too()
    {
        await using var rig = await StartedAsync();
        await rig.DriveAsync(rig.Give(A, Keyboard, Disk));
        rig.Devices = [Disk];
        await rig.RestartAsync();
        await rig.UntilAsync(() => !rig.World.Saved.ContainsKey(Keyboard.Id), "it is forgotten", 5);
        rig.AssertIn(A, Disk);
    }

    [Fact]
    public async Task A_machine_that_left_the_configuration_keeps_nothing()
    {
        await using var rig = new SwitchRig();
        rig.World.Saved = rig.World.Saved.Add(Keyboard.Id, new(MachineId.Parse("gone")));
        await rig.StartAsync();
        await rig.UntilAsync(() => rig.World.Saved.IsEmpty, "it is forgotten", 5);
        rig.AssertHome(Keyboard);
    }

    [Theory]
    [InlineData(-10)]
    [InlineData(922_337_203_685)]
    public async Task A_senseless_time_limit_in_the_state_file_does_not_stop_the_daemon(long seconds)
    {
        await using var rig = new SwitchRig();
        var limit = new TimeLimit(TimeSpan.FromSeconds(seconds), DateTimeOffset.MaxValue);
        rig.World.PutInto(Keyboard.Id, A);
        rig.World.Saved = rig.World.Saved.Add(Keyboard.Id, new(A) { Limit = limit });
        await rig.StartAsync();
        await rig.DriveAsync(rig.Take(Keyboard));
        await SettleAsync();
        rig.AssertHome(Keyboard);
    }

    /// <summary>Whether the process died before the handoff was over.</summary>
    private static async Task<bool> KilledAsync(int at, bool afterEffect, bool taking)
    {
        await using var rig = await StartedAsync(Keyboard, Disk, Pad);
        if (taking) await rig.DriveAsync(rig.Give(A, Keyboard, Disk, Pad));
        await SettleAsync();
        rig.Process.KillAfterEffect = afterEffect;
        rig.Process.KillAt = rig.Process.Calls + at;
        var request = taking ? rig.TakeAll() : rig.Give(A, Keyboard, Disk, Pad);
        await rig.UntilAsync(() => request.IsCompleted || rig.Process.Killed.IsCompleted, "it is over");
        await SettleAsync();
        if (!rig.Process.Killed.IsCompleted) return false;
        await rig.RestartAsync();
        await rig.PassAsync(8);
        var given = rig.Devices.Where(device => !rig.World.HoldersOf(device.Id).IsEmpty).ToArray();
        if (!taking) Assert.True(given.Length is 0 or 3, $"killed at call {at}, this was given: {string.Join(", ", given.Select(device => device.Id))}");
        foreach (var device in rig.Devices)
        {
            if (given.Contains(device)) rig.AssertIn(A, device);
            else rig.AssertHome(device);
        }

        rig.AssertSound();
        return true;
    }

    // StartAsync throws at once, before it gives a task.
    private static async Task Guarded(SwitchRig rig) => await rig.StartAsync();
}
