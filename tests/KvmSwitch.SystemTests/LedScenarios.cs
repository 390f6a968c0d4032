using KvmSwitch.Daemon.Machines;
using KvmSwitch.Linux.Input;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>The leds of a real guest's keyboard, as its QEMU tells them.</summary>
public sealed class LedScenarios(SharedDemo demo)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task What_the_guest_lights_is_told()
    {
        await SettleAsync();
        await using var leds = await QemuLeds.OpenAsync(demo.Guest.Qmp, TimeProvider.System, Stop);
        Assert.NotNull(leds);
        await using var states = leds.ReadAllAsync(Stop).GetAsyncEnumerator(Stop);

        foreach (var (name, led) in new[] { ("capslock", LockLeds.Caps), ("numlock", LockLeds.Num), ("scrolllock", LockLeds.Scroll) })
        {
            await SwitchAsync(name, 1);
            await ShowsAsync(states, led);
            await SwitchAsync(name, 0);
            await ShowsAsync(states, LockLeds.None);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task Who_comes_later_is_told_what_is_lit_by_then()
    {
        await SettleAsync();
        await SwitchAsync("capslock", 1);
        try
        {
            for (var connections = 0; connections < 3; connections++)
            {
                await using var leds = await QemuLeds.OpenAsync(demo.Guest.Qmp, TimeProvider.System, Stop);
                await using var states = leds!.ReadAllAsync(Stop).GetAsyncEnumerator(Stop);
                await ShowsAsync(states, LockLeds.Caps);
            }
        }
        finally
        {
            await SwitchAsync("capslock", 0);
        }
    }

    /// <summary>The guest loads the drivers of keyboards last.</summary>
    private async Task SettleAsync()
    {
        await demo.SettleAsync();
        await demo.Guest.Console.RunAsync("until ls /sys/class/leds | grep -q capslock; do sleep 0.1; done", Patience, Stop);
    }

    /// <summary>On every keyboard that the guest has.</summary>
    private async Task SwitchAsync(string led, int brightness) => await demo.Guest.Console.RunAsync(
        $"for led in /sys/class/leds/*::{led}; do echo {brightness} > $led/brightness; done", Patience, Stop);

    private static async Task ShowsAsync(IAsyncEnumerator<LockLeds> states, LockLeds expected)
    {
        do
        {
            Assert.True(await states.MoveNextAsync().AsTask().WaitAsync(Patience, Stop));
        }
        while (states.Current != expected);
    }
}
