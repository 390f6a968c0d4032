using Xunit;

namespace KvmSwitch.Testing.Scenarios;

/// <summary>Whatever is lost while the guest holds devices: they come home, and nothing is forgotten or invented.</summary>
public abstract class LossScenarios : Scenario
{
    [Fact(Timeout = 300_000)]
    public async Task When_the_agent_falls_silent_the_keyboard_comes_home_and_storage_stays()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "keyboard", "drive");

        await using (await host.SilenceAgentAsync())
        {
            await ComeHomeInTimeAsync(host, "keyboard");

            Assert.Equal("lease", await GestureOfNewestAsync(host));
            Assert.Equal(["drive"], await host.PluggedInAsync());
            Assert.Contains("--for", await RefusedAsync(host, 4, "give", "keyboard"), StringComparison.Ordinal);

            await MovedAsync(host, "give", "keyboard", "--for", "3s");
            await ComeHomeInTimeAsync(host, "keyboard");
            Assert.Equal("time-limit", await GestureOfNewestAsync(host));
        }

        await MovedAsync(host, "give", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_killed_agent_comes_back_and_the_guest_can_have_the_keyboard_again()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "keyboard");

        await host.KillAgentAsync();
        await host.AgentComesBackAsync();
        await DoneAsync(host, "take", "keyboard");

        await MovedAsync(host, "give", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_frozen_guest_loses_its_lease()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "desk");

        await using (await host.FreezeGuestAsync())
        {
            await ComeHomeInTimeAsync(host, "keyboard", "mouse");
            Assert.Equal("lease", await GestureOfNewestAsync(host));
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task A_reset_of_the_guest_brings_everything_home_and_its_agent_comes_back()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "keyboard", "drive");

        await host.ResetGuestAsync();
        await ComeHomeAsync(host, "keyboard", "drive");

        Assert.Empty(await host.PluggedInAsync());
        Assert.Equal("guest-reset", await GestureOfNewestAsync(host));
        await host.AgentComesBackAsync();
        await MovedAsync(host, "give", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_panic_of_the_guest_brings_everything_home()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "keyboard", "drive");

        await host.PanicGuestAsync();
        await ComeHomeAsync(host, "keyboard", "drive");

        Assert.Empty(await host.PluggedInAsync());
        Assert.Equal("guest-panic", await GestureOfNewestAsync(host));
        await host.AgentComesBackAsync();
        await MovedAsync(host, "give", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task When_QEMU_is_killed_everything_is_home_and_the_machine_counts_as_crashed()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "desk", "drive");

        await host.KillQemuAsync();
        await ComeHomeAsync(host, "keyboard", "mouse", "drive");

        var state = await host.SeesAsync(now => (string?)now["machines"]![0]!["power"] == "crashed", "the machine counts as crashed");
        Assert.NotEmpty(state["machines"]![0]!["trouble"]!.GetValue<string>());
        Assert.Null(state["machines"]![0]!["pid"]);
        Assert.Equal("machine-exit", await GestureOfNewestAsync(host));
        Assert.Contains($"{host.Machine} is not running", await RefusedAsync(host, 4, "give", "drive"), StringComparison.Ordinal);
    }

    [Fact(Timeout = 300_000)]
    public async Task The_guest_keeps_its_devices_over_the_end_of_the_daemon()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "desk");
        var before = await DoneAsync(host, "status");

        await host.KillDaemonAsync();
        Assert.Equal(["keyboard", "mouse"], await host.PluggedInAsync());
        await host.StartDaemonAsync();
        await host.AgentComesBackAsync();

        var after = await DoneAsync(host, "status");
        Assert.Equal((int?)before["machines"]![0]!["pid"], (int?)after["machines"]![0]!["pid"]);
        Assert.Equal((host.Machine, host.Machine, "host"), (PlacementIn(after, "keyboard"), PlacementIn(after, "mouse"), PlacementIn(after, "drive")));
        await MovedAsync(host, "take", "desk");
        Assert.Empty(await host.PluggedInAsync());
    }

    [Fact(Timeout = 300_000)]
    public async Task When_daemon_and_QEMU_die_together_everything_is_home_after_the_start()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "desk");

        await host.KillDaemonAsync();
        await host.KillQemuAsync();
        await host.StartDaemonAsync();

        var state = await DoneAsync(host, "status");
        Assert.Equal(("host", "host"), (PlacementIn(state, "keyboard"), PlacementIn(state, "mouse")));
    }

    [Fact(Timeout = 300_000)]
    public async Task A_revoked_guest_loses_what_it_holds_and_pairs_anew()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "keyboard");

        Assert.NotEmpty((await DoneAsync(host, "guest", "revoke", host.Machine))["revoked"]!.AsArray());
        await ComeHomeInTimeAsync(host, "keyboard");
        await RefusedAsync(host, 4, "give", "keyboard");
        Assert.All((await DoneAsync(host, "guest", "list"))["guests"]!.AsArray(), guest => Assert.True((bool)guest!["revoked"]!));

        await host.PairAsync();
        await MovedAsync(host, "give", "keyboard");
    }
}
