using KvmSwitch.Testing.Scenarios;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>The main job on real programs, a real QEMU and a real guest.</summary>
public sealed class DemoHandoffScenarios(SharedDemo demo) : HandoffScenarios
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    protected override Task<IScenarioHost> BeginAsync() => DemoScenarioHost.BeginAsync(demo);

    [Fact(Timeout = 300_000)]
    public async Task Keys_reach_the_guest_and_its_hotkey_brings_the_set_home()
    {
        await demo.SettleAsync();
        var given = demo.Guest.Watch.Sightings.Count;
        await demo.Host.RunAsync(Stop, "give", "desk");

        await demo.Guest.TypeAsync([("k", 37), ("v", 47), ("m", 50)], given, Stop);
        await demo.Guest.PressReturnHotkeyAsync();
        await demo.WaitUntilHomeAsync("keyboard", "mouse");

        Assert.Empty(await demo.PluggedInAsync());
        Assert.Equal("hotkey", (string?)(await demo.NewestHandoffAsync())["gesture"]);
    }
}
