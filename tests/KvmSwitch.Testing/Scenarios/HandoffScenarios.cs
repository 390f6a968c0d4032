using Xunit;

namespace KvmSwitch.Testing.Scenarios;

/// <summary>The main job: devices go, arrive, and come home; or all of them stay.</summary>
public abstract class HandoffScenarios : Scenario
{
    [Fact(Timeout = 300_000)]
    public async Task A_set_arrives_seen_by_the_guest_and_comes_home_on_take()
    {
        await using var host = await BeginAsync();

        var given = await MovedAsync(host, "give", "desk");

        Assert.Equal((host.Machine, "cli"), ((string?)given["to"], (string?)given["gesture"]));
        Assert.Equal(["keyboard", "mouse"], await host.PluggedInAsync());
        Assert.Equal(["keyboard", "mouse"], StepsNamed(given, "attach"));
        Assert.Equal(["keyboard", "mouse"], StepsNamed(given, "confirm"));
        Assert.All(given["steps"]!.AsArray(), step => Assert.True(step!["duration_ms"]!.GetValue<double>() >= 0));
        var there = await DoneAsync(host, "status");
        Assert.Equal((host.Machine, host.Machine, "host"), (PlacementIn(there, "keyboard"), PlacementIn(there, "mouse"), PlacementIn(there, "drive")));

        var taken = await MovedAsync(host, "take", "desk");

        Assert.Equal("host", (string?)taken["to"]);
        Assert.Empty(await host.PluggedInAsync());
        var home = await DoneAsync(host, "status");
        Assert.Equal(("host", "host"), (PlacementIn(home, "keyboard"), PlacementIn(home, "mouse")));
        var history = (await DoneAsync(host, "history"))["handoffs"]!.AsArray();
        Assert.Equal([(string?)given["id"], (string?)taken["id"]], history.TakeLast(2).Select(handoff => (string?)handoff!["id"]));
    }

    [Fact(Timeout = 300_000)]
    public async Task The_guests_hotkey_brings_the_set_home()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "desk");

        await host.PressReturnHotkeyAsync();
        await ComeHomeAsync(host, "keyboard", "mouse");

        Assert.Empty(await host.PluggedInAsync());
        Assert.Equal("hotkey", await GestureOfNewestAsync(host));
    }

    [Fact(Timeout = 300_000)]
    public async Task The_guest_gets_by_hotkey_what_it_may_ask_for()
    {
        await using var host = await BeginAsync();
        await MovedAsync(host, "give", "keyboard");

        await host.PressRequestHotkeyAsync();
        await host.SeesAsync(state => PlacementIn(state, "mouse") == host.Machine, "the mouse is in the guest");

        Assert.Equal(["keyboard", "mouse"], await host.PluggedInAsync());
        Assert.Equal("hotkey", await GestureOfNewestAsync(host));
    }

    [Fact(Timeout = 300_000)]
    public async Task When_one_device_of_a_set_cannot_arrive_all_stay_home()
    {
        await using var host = await BeginAsync();
        await using (await host.BlockAsync("mouse"))
        {
            Assert.Contains("mouse", await RefusedAsync(host, 1, "give", "desk"), StringComparison.Ordinal);

            Assert.Empty(await host.PluggedInAsync());
            var state = await DoneAsync(host, "status");
            Assert.Equal(("host", "host"), (PlacementIn(state, "keyboard"), PlacementIn(state, "mouse")));
            Assert.Equal("rolled-back", (string?)(await NewestAsync(host))["outcome"]);
        }

        await MovedAsync(host, "give", "desk");
    }

    [Fact(Timeout = 300_000)]
    public async Task Toggle_goes_there_and_back()
    {
        await using var host = await BeginAsync();

        await MovedAsync(host, "toggle", "keyboard");
        Assert.Equal(host.Machine, await PlacementOfAsync(host, "keyboard"));
        await MovedAsync(host, "toggle", "keyboard");

        Assert.Equal("host", await PlacementOfAsync(host, "keyboard"));
    }

    [Fact(Timeout = 300_000)]
    public async Task Of_two_gives_at_once_for_one_device_only_one_goes_through()
    {
        await using var host = await BeginAsync();

        var both = await Task.WhenAll(host.RunAsync("give", "keyboard"), host.RunAsync("give", "keyboard"));

        Assert.Contains(both, run => run.ExitCode == 0);
        Assert.All(both, run => Assert.True(run.ExitCode is 0 or 4, run.Error));
        Assert.Equal(["keyboard"], await host.PluggedInAsync());
    }

    [Fact(Timeout = 300_000)]
    public async Task A_device_given_for_a_limited_time_comes_home_by_itself()
    {
        await using var host = await BeginAsync();

        await MovedAsync(host, "give", "keyboard", "--for", "3s");
        Assert.NotNull(DeviceIn(await DoneAsync(host, "status"), "keyboard")["until"]);
        await ComeHomeInTimeAsync(host, "keyboard");

        Assert.Empty(await host.PluggedInAsync());
        Assert.Equal("time-limit", await GestureOfNewestAsync(host));
    }
}
