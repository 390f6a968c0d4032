using KvmSwitch.Daemon.Machines;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Linux.Input;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>The leds of a real guest's keyboard, as its QEMU tells them.</summary>
public sealed class LedScenarios(SharedDemo demo)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task What_the_guest_lights_when_a_lock_key_is_pressed_is_told()
    {
        await SettleAsync();
        await using var leds = await QemuLeds.OpenAsync(demo.Guest.Qmp, TimeProvider.System, Stop);
        await using var states = leds!.ReadAllAsync(Stop).GetAsyncEnumerator(Stop);
        await ShowsAsync(states, LockLeds.None);

        foreach (var (key, led) in new[] { ("caps_lock", LockLeds.Caps), ("num_lock", LockLeds.Num) })
        {
            await demo.Guest.Qmp.SendKeyAsync(key);
            await ShowsAsync(states, led);
            await demo.Guest.Qmp.SendKeyAsync(key);
            await ShowsAsync(states, LockLeds.None);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task Who_comes_later_is_told_what_is_lit_by_then()
    {
        await SettleAsync();
        await demo.Guest.Qmp.SendKeyAsync("caps_lock");
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
            await demo.Guest.Qmp.SendKeyAsync("caps_lock");
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task The_daemon_asks_where_something_is_relayed_and_again_after_its_own_restart()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop, text => text + "\n[device.typing]\nroute = \"input\"\nport = \"9-9\"\n");
        await host.StartDaemonAsync(Stop);
        await host.RunAsync(Stop, "vm", "start", "demo");
        await using var qmp = await host.ConnectQmpAsync(Stop);
        await HasViewersAsync(qmp, 1);

        await host.EndDaemonAsync(ProcessSignal.Kill, Stop);
        await HasViewersAsync(qmp, 0);
        await host.StartDaemonAsync(Stop);
        await HasViewersAsync(qmp, 1);

        Assert.DoesNotContain("leds", host.ReadLog(), StringComparison.Ordinal);
    }

    private static Task HasViewersAsync(QmpClient qmp, int count) => Condition.HoldsAsync(
        async () => (await qmp.ExecuteAsync("query-vnc-servers", cancellationToken: Stop))[0].GetProperty("clients").GetArrayLength() == count,
        $"the VNC server has {count} clients", Patience, Stop);

    /// <summary>The guest loads the driver of its keyboard last.</summary>
    private async Task SettleAsync()
    {
        await demo.SettleAsync();
        await demo.Guest.Console.RunAsync("until ls /sys/class/leds | grep -q capslock; do sleep 0.1; done", Patience, Stop);
    }

    private static async Task ShowsAsync(IAsyncEnumerator<LockLeds> states, LockLeds expected)
    {
        do
        {
            Assert.True(await states.MoveNextAsync().AsTask().WaitAsync(Patience, Stop));
        }
        while (states.Current != expected);
    }
}
