using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Scenarios;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>The published programs, QEMU and the booted demo guest, which all scenarios share: each begins by having them in order.</summary>
internal sealed class DemoScenarioHost(SharedDemo demo) : IScenarioHost
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Lines of the guest's console from before it began anew; null when it has not.</summary>
    private int? _before;

    public string Machine => "demo";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static async Task<IScenarioHost> BeginAsync(SharedDemo demo)
    {
        await demo.SettleAsync();
        return new DemoScenarioHost(demo);
    }

    public async Task<ScenarioRun> RunAsync(params string[] words)
    {
        var result = await demo.Host.TryRunAsync(Stop, [.. words, "--json"]);
        return new(result.ExitCode, result.Output, result.Error);
    }

    public Task<JsonNode> SeesAsync(Func<JsonNode, bool> wanted, string what) => demo.Host.WaitForStateAsync(wanted, what, Stop);

    public Task<JsonNode> SeesInTimeAsync(Func<JsonNode, bool> wanted, string what) => SeesAsync(wanted, what);

    public async Task<IReadOnlyList<string>> PluggedInAsync() => await demo.PluggedInAsync();

    public async Task<IAsyncDisposable> BlockAsync(string device)
    {
        // Somebody else's device sits on its port. Ports are given out in the order of the configuration, a controller for each device.
        var bus = device == "keyboard" ? "kvmswitch-usb0.0" : "kvmswitch-usb1.0";
        await demo.Guest.Qmp.DeviceAddAsync("usb-tablet", "foreign", new JsonObject { ["bus"] = bus, ["port"] = "1" }, Stop);
        return new Ending(async () =>
        {
            Assert.Contains("foreign", await demo.Guest.Qmp.ListPeripheralsAsync(Stop));
            await demo.Guest.Qmp.DeviceDelAndWaitAsync("foreign", cancellationToken: Stop);
        });
    }

    public Task PressReturnHotkeyAsync() => demo.Guest.PressReturnHotkeyAsync();

    public Task PressRequestHotkeyAsync() => demo.Guest.Qmp.SendKeyAsync("ctrl", "alt", "shift", "m");

    public async Task<IAsyncDisposable> SilenceAgentAsync()
    {
        await SignalAgentAsync("STOP");
        return new Ending(async () =>
        {
            await SignalAgentAsync("CONT");
            await demo.Guest.WaitUntilLiveAsync(Stop);
        });
    }

    public async Task<IAsyncDisposable> FreezeGuestAsync()
    {
        await demo.Guest.Qmp.StopAsync(Stop);
        return new Ending(() => demo.Guest.Qmp.ContAsync(Stop));
    }

    /// <summary>The guest starts it again a second later.</summary>
    public async Task KillAgentAsync()
    {
        await SignalAgentAsync("KILL");
        await demo.Host.WaitForStateAsync(state => !state["machines"]![0]!["agent_live"]!.GetValue<bool>(), "the agent is gone", Stop);
    }

    public Task ResetGuestAsync()
    {
        _before = demo.Guest.Console.Lines.Count;
        return demo.Guest.Qmp.SystemResetAsync(Stop);
    }

    /// <summary>It has <c>panic=-1</c>, and so starts anew at once.</summary>
    public Task PanicGuestAsync()
    {
        _before = demo.Guest.Console.Lines.Count;
        return demo.Guest.Console.SendAsync("echo c > /proc/sysrq-trigger", Stop);
    }

    public Task KillQemuAsync() => ForeignProcess.KillAsync(demo.Host.QemuPid()!.Value, demo.Host.RuntimeFile("qemu.pid"), Patience);

    public Task KillDaemonAsync() => demo.Host.EndDaemonAsync(ProcessSignal.Kill, Stop);

    public Task StartDaemonAsync() => demo.Host.StartDaemonAsync(Stop);

    public async Task AgentComesBackAsync()
    {
        if (_before is { } lines) await demo.Guest.Console.WaitForReadyAsync(Patience, Stop, lines);
        _before = null;
        await demo.Guest.WaitUntilLiveAsync(Stop);
    }

    public Task PairAsync() => demo.Guest.PairAsync(Stop);

    // What is left of this scenario is put in order by the next one.
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Task<string> SignalAgentAsync(string signal) =>
        demo.Guest.Console.RunAsync($"kill -{signal} $(cat /run/agent.pid)", Patience, Stop);
}
