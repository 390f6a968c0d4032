using System.Text.Json.Nodes;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>The main job on real programs, a real QEMU and a real guest.</summary>
public sealed class HandoffScenarios(SharedDemo demo)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task A_set_arrives_seen_by_the_guest_and_comes_home_on_take()
    {
        await demo.SettleAsync();

        var given = await demo.Host.RunAsync(Stop, "give", "desk");

        Assert.Equal("done", (string?)given["outcome"]);
        Assert.Equal(["keyboard", "mouse"], await demo.PluggedInAsync());
        Assert.Equal(["keyboard", "mouse"], StepsNamed(given, "confirm"));
        Assert.All(given["steps"]!.AsArray(), step => Assert.True(step!["duration_ms"]!.GetValue<double>() >= 0));

        var taken = await demo.Host.RunAsync(Stop, "take", "desk");

        Assert.Equal("done", (string?)taken["outcome"]);
        Assert.Empty(await demo.PluggedInAsync());
        Assert.Equal("host", await demo.Host.PlacementOfAsync("keyboard", Stop));
    }

    [Fact(Timeout = 300_000)]
    public async Task Keys_reach_the_guest_and_its_hotkey_brings_the_set_home()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "desk");

        await demo.Guest.TypeAsync([("k", 37), ("v", 47), ("m", 50)], Stop);
        await demo.Guest.PressReturnHotkeyAsync();
        await demo.WaitUntilHomeAsync("keyboard", "mouse");

        Assert.Empty(await demo.PluggedInAsync());
        Assert.Equal("hotkey", (string?)(await demo.NewestHandoffAsync())["gesture"]);
    }

    [Fact(Timeout = 300_000)]
    public async Task The_guest_gets_by_hotkey_what_it_may_ask_for()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");

        await demo.Guest.Qmp.SendKeyAsync("ctrl", "alt", "shift", "m");
        await demo.Host.WaitForStateAsync(state => SharedDemo.PlacementIn(state, "mouse") == "demo", "the mouse is in the guest", Stop);

        Assert.Equal(["keyboard", "mouse"], await demo.PluggedInAsync());
    }

    [Fact(Timeout = 300_000)]
    public async Task When_one_device_of_a_set_cannot_arrive_all_stay_home()
    {
        await demo.SettleAsync();

        // Somebody else's device sits on the mouse's port.
        var place = new JsonObject { ["bus"] = "kvmswitch-usb1.0", ["port"] = "1" };
        await demo.Guest.Qmp.DeviceAddAsync("usb-tablet", "foreign", place, Stop);
        try
        {
            var refused = await demo.Host.TryRunAsync(Stop, "give", "desk");

            Assert.Equal(1, refused.ExitCode);
            Assert.Contains("mouse", refused.Error, StringComparison.Ordinal);
            Assert.Single(refused.Error.Trim().Split('\n'));
            Assert.Empty(await demo.PluggedInAsync());
            Assert.Equal("host", await demo.Host.PlacementOfAsync("keyboard", Stop));
            Assert.Equal("rolled-back", (string?)(await demo.NewestHandoffAsync())["outcome"]);
            Assert.Contains("foreign", await demo.Guest.Qmp.ListPeripheralsAsync(Stop));
        }
        finally
        {
            await demo.Guest.Qmp.DeviceDelAndWaitAsync("foreign", cancellationToken: Stop);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task Toggle_goes_there_and_back()
    {
        await demo.SettleAsync();

        await demo.Host.RunAsync(Stop, "toggle", "keyboard");
        Assert.Equal("demo", await demo.Host.PlacementOfAsync("keyboard", Stop));
        await demo.Host.RunAsync(Stop, "toggle", "keyboard");

        Assert.Equal("host", await demo.Host.PlacementOfAsync("keyboard", Stop));
    }

    [Fact(Timeout = 300_000)]
    public async Task Of_two_gives_at_once_for_one_device_only_one_goes_through()
    {
        await demo.SettleAsync();

        var both = await Task.WhenAll(demo.Host.TryRunAsync(Stop, "give", "keyboard"), demo.Host.TryRunAsync(Stop, "give", "keyboard"));

        Assert.Contains(both, result => result.ExitCode == 0);
        Assert.All(both, result => Assert.True(result.ExitCode is 0 or 4, result.Error));
        Assert.Equal(["keyboard"], await demo.PluggedInAsync());
    }

    [Fact(Timeout = 300_000)]
    public async Task A_device_given_for_a_limited_time_comes_home_by_itself()
    {
        await demo.SettleAsync();

        await demo.Host.RunAsync(Stop, "give", "keyboard", "--for", "2s");
        await demo.WaitUntilHomeAsync("keyboard");

        Assert.Empty(await demo.PluggedInAsync());
        Assert.Equal("time-limit", (string?)(await demo.NewestHandoffAsync())["gesture"]);
    }

    private static IEnumerable<string> StepsNamed(JsonNode handoff, string name) => handoff["steps"]!.AsArray()
        .Where(step => (string?)step!["name"] == name).Select(step => (string)step!["device"]!).Order(StringComparer.Ordinal);
}
