using System.Diagnostics;
using System.Text.Json.Nodes;
using KvmSwitch.Qmp;

namespace KvmSwitch.Demo.Harness;

/// <summary>The demo guest while it runs, from all the sides that its driver has: a shell in it, what its agent sees, and QMP.</summary>
public sealed class DemoGuest : IAsyncDisposable
{
    private static readonly TimeSpan BootDeadline = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan CommandDeadline = TimeSpan.FromSeconds(60);
    private readonly DemoHost _host;

    private DemoGuest(DemoHost host, SerialConsole console, GuestWatch watch, QmpClient qmp) =>
        (_host, Console, Watch, Qmp) = (host, console, watch, qmp);

    public SerialConsole Console { get; }

    public GuestWatch Watch { get; }

    public QmpClient Qmp { get; }

    /// <summary>Starts the machine and returns once its shell answers.</summary>
    public static async Task<DemoGuest> BootAsync(DemoHost host, CancellationToken cancellation)
    {
        await host.RunAsync(cancellation, "vm", "start", "demo");
        var console = await SerialConsole.ConnectAsync(host.RuntimeFile("console.sock"), CommandDeadline, cancellation);
        var watch = await GuestWatch.ConnectAsync(host.RuntimeFile("watch.sock"), CommandDeadline, cancellation);
        var qmp = await host.ConnectQmpAsync(cancellation);
        await console.WaitForReadyAsync(BootDeadline, cancellation);
        return new(host, console, watch, qmp);
    }

    /// <summary>Pairs the guest as a user would: a code made on the host, given to the agent in the guest.</summary>
    public async Task PairAsync(CancellationToken cancellation)
    {
        var code = (await _host.RunAsync(cancellation, "guest", "pair", "demo"))["code"]!.GetValue<string>();
        await Console.RunAsync($"kvmswitch-agent join {code}", CommandDeadline, cancellation);
        await WaitUntilLiveAsync(cancellation);
    }

    public Task WaitUntilLiveAsync(CancellationToken cancellation) => _host.WaitForStateAsync(
        state => state["machines"]![0]!["agent_live"]!.GetValue<bool>(), "the guest's agent is live", cancellation, CommandDeadline);

    /// <summary>Presses keys one after the other on a keyboard that was given, and returns once the agent has reported each.</summary>
    /// <param name="keys">QEMU's name of each key, and its evdev code.</param>
    /// <param name="given">How much had been seen when the keyboard was given.</param>
    /// <returns>From the first key to the last report.</returns>
    public async Task<TimeSpan> TypeAsync(IEnumerable<(string Name, int Code)> keys, int given, CancellationToken cancellation)
    {
        await Watch.WaitForKeyboardAsync(given, CommandDeadline, cancellation);
        var started = Stopwatch.GetTimestamp();
        foreach (var (name, code) in keys)
        {
            var from = Watch.Sightings.Count;
            await Qmp.SendKeyAsync(name);
            await Watch.WaitForAsync(entry => IsKey(entry, code), CommandDeadline, cancellation, from);
        }

        return Stopwatch.GetElapsedTime(started);
    }

    /// <summary>Holds the return hotkey and lets go.</summary>
    public Task PressReturnHotkeyAsync() => Qmp.SendKeyAsync(DemoConfiguration.ReturnKeys);

    /// <summary>Lets go of it; it goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        await Console.DisposeAsync();
        await Watch.DisposeAsync();
        await Qmp.DisposeAsync();
    }

    private static bool IsKey(JsonObject entry, int code) =>
        (string?)entry["event"] == "key" && (int?)entry["code"] == code && (bool?)entry["down"] == true;
}
