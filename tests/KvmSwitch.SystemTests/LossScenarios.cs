using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>Whatever dies while the guest holds devices: they come home.</summary>
public sealed class LossScenarios(SharedDemo demo)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task When_the_agent_falls_silent_the_keyboard_comes_home_and_storage_stays()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard", "drive");

        await SignalAgentAsync("STOP");
        await demo.WaitUntilHomeAsync("keyboard");

        Assert.Equal("lease", (string?)(await demo.NewestHandoffAsync())["gesture"]);
        Assert.Equal(["drive"], await demo.PluggedInAsync());
        var refused = await demo.Host.TryRunAsync(Stop, "give", "keyboard");
        Assert.Equal(4, refused.ExitCode);
        Assert.Contains("--for", refused.Error, StringComparison.Ordinal);

        var limited = await demo.Host.RunAsync(Stop, "give", "keyboard", "--for", "3s");
        Assert.Equal("done", (string?)limited["outcome"]);
        await demo.WaitUntilHomeAsync("keyboard");
        await SignalAgentAsync("CONT");
        await demo.Guest.WaitUntilLiveAsync(Stop);
    }

    [Fact(Timeout = 300_000)]
    public async Task A_killed_agent_comes_back_and_the_guest_can_have_the_keyboard_again()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");

        await KillAgentAsync();
        await demo.Guest.WaitUntilLiveAsync(Stop);
        await demo.Host.RunAsync(Stop, "take", "keyboard");
        var given = await demo.Host.RunAsync(Stop, "give", "keyboard");

        Assert.Equal("done", (string?)given["outcome"]);
    }

    [Fact(Timeout = 300_000)]
    public async Task A_frozen_guest_loses_its_lease()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "desk");

        await demo.Guest.Qmp.StopAsync(Stop);
        try
        {
            await demo.WaitUntilHomeAsync("keyboard", "mouse");
            Assert.Equal("lease", (string?)(await demo.NewestHandoffAsync())["gesture"]);
        }
        finally
        {
            await demo.Guest.Qmp.ContAsync(Stop);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task A_reset_of_the_guest_brings_everything_home_and_its_agent_comes_back()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard", "drive");

        var lines = demo.Guest.Console.Lines.Count;
        await demo.Guest.Qmp.SystemResetAsync(Stop);
        await demo.WaitUntilHomeAsync("keyboard", "drive");

        Assert.Equal("guest-reset", (string?)(await demo.NewestHandoffAsync())["gesture"]);
        await demo.Guest.Console.WaitForReadyAsync(Patience, Stop, lines);
        await demo.Guest.WaitUntilLiveAsync(Stop);
        await demo.Host.RunAsync(Stop, "give", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_panic_of_the_guest_brings_everything_home()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard", "drive");
        using var events = demo.Guest.Qmp.Listen(happened => happened.Name == "GUEST_PANICKED");

        var lines = demo.Guest.Console.Lines.Count;
        await demo.Guest.Console.SendAsync("echo c > /proc/sysrq-trigger", Stop);
        await events.WaitForAsync(_ => true, Patience, Stop);
        await demo.WaitUntilHomeAsync("keyboard", "drive");

        // panic=-1: the guest starts anew by itself.
        await demo.Guest.Console.WaitForReadyAsync(Patience, Stop, lines);
        await demo.Guest.WaitUntilLiveAsync(Stop);
    }

    [Fact(Timeout = 300_000)]
    public async Task When_QEMU_is_killed_everything_is_home_and_the_machine_can_start_again()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard", "drive");

        await ForeignProcess.KillAsync(demo.Host.QemuPid()!.Value, demo.Host.RuntimeFile("qemu.pid"), Patience);
        await demo.WaitUntilHomeAsync("keyboard", "drive");

        var state = await demo.Host.WaitForStateAsync(
            now => (string?)now["machines"]![0]!["power"] == "crashed", "the machine counts as crashed", Stop);
        Assert.NotEmpty(state["machines"]![0]!["trouble"]!.GetValue<string>());
        Assert.Equal("machine-exit", (string?)(await demo.NewestHandoffAsync())["gesture"]);
        Assert.Equal(4, (await demo.Host.TryRunAsync(Stop, "give", "keyboard")).ExitCode);
        await demo.SettleAsync();
    }

    [Fact(Timeout = 300_000)]
    public async Task The_guest_keeps_its_devices_over_a_killed_daemon()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "desk");
        var qemu = demo.Host.QemuPid();

        await demo.Host.EndDaemonAsync(ProcessSignal.Kill, Stop);
        await demo.Host.StartDaemonAsync(Stop);
        await demo.Guest.WaitUntilLiveAsync(Stop);

        Assert.Equal(qemu, demo.Host.QemuPid());
        Assert.Equal("demo", await demo.Host.PlacementOfAsync("keyboard", Stop));
        await demo.Host.RunAsync(Stop, "take", "desk");
        Assert.Empty(await demo.PluggedInAsync());
    }

    [Fact(Timeout = 300_000)]
    public async Task When_daemon_and_QEMU_die_together_everything_is_home_after_the_start()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "desk");

        await demo.Host.EndDaemonAsync(ProcessSignal.Kill, Stop);
        await ForeignProcess.KillAsync(demo.Host.QemuPid()!.Value, demo.Host.RuntimeFile("qemu.pid"), Patience);
        await demo.Host.StartDaemonAsync(Stop);

        Assert.Equal("host", await demo.Host.PlacementOfAsync("keyboard", Stop));
        Assert.Equal("host", await demo.Host.PlacementOfAsync("mouse", Stop));
    }

    [Theory(Timeout = 300_000)]
    [InlineData("give", "attach keyboard")]
    [InlineData("give", "attach mouse")]
    [InlineData("give", "confirm keyboard")]
    [InlineData("take", "detach keyboard")]
    [InlineData("take", "home mouse")]
    public async Task A_daemon_killed_at_a_step_of_a_handoff_finds_all_in_order_again(string verb, string step)
    {
        await demo.SettleAsync();
        if (verb == "take") await demo.Host.RunAsync(Stop, "give", "desk");

        var result = await AtStepAsync(verb, step, () => demo.Host.EndDaemonAsync(ProcessSignal.Kill, Stop));
        await demo.Host.StartDaemonAsync(Stop);

        // Either all of the set or none is in the guest, and the daemon knows which. A give that was cut short is undone.
        var settled = await demo.Host.WaitForStateAsync(
            state => SharedDemo.PlacementIn(state, "keyboard") is "host" or "demo" &&
                SharedDemo.PlacementIn(state, "keyboard") == SharedDemo.PlacementIn(state, "mouse"),
            "the set is in one place", Stop);
        var place = SharedDemo.PlacementIn(settled, "keyboard");
        if (verb == "give" && result.ExitCode != 0) Assert.Equal("host", place);
        Assert.Equal(place == "host" ? [] : ["keyboard", "mouse"], await demo.PluggedInAsync());
    }

    [Theory(Timeout = 300_000)]
    [InlineData("give", "attach keyboard")]
    [InlineData("give", "confirm mouse")]
    [InlineData("take", "detach keyboard")]
    public async Task A_QEMU_killed_at_a_step_of_a_handoff_leaves_everything_at_home(string verb, string step)
    {
        await demo.SettleAsync();
        if (verb == "take") await demo.Host.RunAsync(Stop, "give", "desk");
        var qemu = demo.Host.QemuPid()!.Value;

        var result = await AtStepAsync(verb, step, () => ForeignProcess.KillAsync(qemu, demo.Host.RuntimeFile("qemu.pid"), Patience));
        await demo.WaitUntilHomeAsync("keyboard", "mouse");

        Assert.Equal(verb == "take" ? 0 : 1, result.ExitCode);
        Assert.Null(demo.Host.QemuPid());
    }

    [Theory(Timeout = 300_000)]
    [InlineData("give", "attach mouse")]
    [InlineData("give", "confirm keyboard")]
    [InlineData("take", "detach mouse")]
    public async Task An_agent_killed_at_a_step_of_a_handoff_costs_no_device(string verb, string step)
    {
        await demo.SettleAsync();
        if (verb == "take") await demo.Host.RunAsync(Stop, "give", "desk");

        var result = await AtStepAsync(verb, step, KillAgentAsync);
        await demo.Guest.WaitUntilLiveAsync(Stop);

        // However it ended, the set is in one place, and the daemon and QEMU agree on which.
        var settled = await demo.Host.WaitForStateAsync(
            state => SharedDemo.PlacementIn(state, "keyboard") is "host" or "demo" &&
                SharedDemo.PlacementIn(state, "keyboard") == SharedDemo.PlacementIn(state, "mouse"),
            "the set is in one place", Stop);
        var place = SharedDemo.PlacementIn(settled, "keyboard");
        if (verb == "take" || result.ExitCode != 0) Assert.Equal("host", place);
        Assert.Equal(place == "host" ? [] : ["keyboard", "mouse"], await demo.PluggedInAsync());
    }

    [Fact(Timeout = 300_000)]
    public async Task A_revoked_guest_loses_what_it_holds_and_pairs_anew()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");

        await demo.Host.RunAsync(Stop, "guest", "revoke", "demo");
        await demo.WaitUntilHomeAsync("keyboard");
        Assert.Equal(4, (await demo.Host.TryRunAsync(Stop, "give", "keyboard")).ExitCode);

        await demo.Guest.PairAsync(Stop);
        await demo.Host.RunAsync(Stop, "give", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_stopped_machine_shuts_its_guest_down_and_everything_is_home()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "desk");

        await demo.Host.RunAsync(Stop, "vm", "stop", "demo");

        await demo.WaitUntilHomeAsync("keyboard", "mouse");
        Assert.Null(demo.Host.QemuPid());
        var state = await demo.Host.RunAsync(Stop, "status");
        Assert.Equal("off", (string?)state["machines"]![0]!["power"]);
    }

    /// <summary>Begins to hand the set over, and strikes as soon as the daemon logs that this step begins.</summary>
    private async Task<ProcessResult> AtStepAsync(string verb, string step, Func<Task> strike)
    {
        var logged = demo.Host.ReadLog().Length;
        var handing = demo.Host.TryRunAsync(Stop, verb, "desk");
        await Condition.HoldsAsync(
            () => demo.Host.ReadLog()[logged..].Contains($": {step} …", StringComparison.Ordinal), $"{step} begins", Patience, Stop);
        await strike();
        return await handing;
    }

    /// <summary>Kills the agent, which its guest starts again a second later, and waits until the daemon has noticed.</summary>
    private async Task KillAgentAsync()
    {
        await SignalAgentAsync("KILL");
        await demo.Host.WaitForStateAsync(state => !state["machines"]![0]!["agent_live"]!.GetValue<bool>(), "the agent is gone", Stop);
    }

    private Task<string> SignalAgentAsync(string signal) =>
        demo.Guest.Console.RunAsync($"kill -{signal} $(cat /run/agent.pid)", Patience, Stop);
}
