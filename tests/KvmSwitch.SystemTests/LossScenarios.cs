using KvmSwitch.Demo.Harness;
using KvmSwitch.Testing.Scenarios;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>Whatever dies while the guest holds devices, or at any step of a handoff: they come home.</summary>
public sealed class DemoLossScenarios(SharedDemo demo) : LossScenarios
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    protected override Task<IScenarioHost> BeginAsync() => DemoScenarioHost.BeginAsync(demo);

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

        var result = await AtStepAsync(verb, step, new DemoScenarioHost(demo).KillAgentAsync);
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
}
