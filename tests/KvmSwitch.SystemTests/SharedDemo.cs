using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using KvmSwitch.SystemTests;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedDemo))]
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace KvmSwitch.SystemTests;

/// <summary>The published programs and one booted, paired guest, shared by all scenarios: each begins by having it in order.</summary>
public sealed class SharedDemo : IAsyncDisposable
{
    private static readonly string[] Devices = ["keyboard", "mouse", "tablet", "drive"];
    private DemoHost? _host;
    private DemoGuest? _guest;

    public static DemoInputs Inputs { get; } = new(From("KVMSWITCH_PROGRAMS", "artifacts/publish"), From("KVMSWITCH_GUEST", "artifacts/guest"));

    public DemoHost Host => _host!;

    public DemoGuest Guest => _guest!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Daemon and guest run, the agent is live, every device is home; whatever the scenario before has left.</summary>
    public async Task SettleAsync()
    {
        if (_host is null) await StartAsync();
        if (Host.DaemonPid is null) await Host.StartDaemonAsync(Stop);
        if (Host.QemuPid() is null)
        {
            if (_guest is not null) await _guest.DisposeAsync();
            _guest = await DemoGuest.BootAsync(Host, Stop);
        }

        // An agent that was stopped or killed a moment ago may seem live and then reconnect: a handoff proves that it is there.
        await Condition.HoldsAsync(
            async () => (await Host.TryRunAsync(Stop, "give", "mouse")).ExitCode == 0, "the guest takes a device", TimeSpan.FromSeconds(60), Stop);
        await Host.RunAsync(Stop, "take", "--all");
        foreach (var device in Devices) Assert.Equal("host", await Host.PlacementOfAsync(device, Stop));
    }

    /// <summary>Waits until these devices were seen at home.</summary>
    public Task<JsonNode> WaitUntilHomeAsync(params string[] devices) => Host.WaitForStateAsync(
        state => devices.All(name => PlacementIn(state, name) == "host"), $"{string.Join(", ", devices)} are home", Stop);

    public static string PlacementIn(JsonNode state, string device) =>
        state["devices"]!.AsArray().Single(entry => (string?)entry!["name"] == device)!["placement"]!.GetValue<string>();

    /// <summary>The newest handoff that the history tells.</summary>
    public async Task<JsonNode> NewestHandoffAsync() => (await Host.RunAsync(Stop, "history"))["handoffs"]!.AsArray()[^1]!;

    /// <summary>The devices of ours that QEMU itself lists.</summary>
    public async Task<string[]> PluggedInAsync()
    {
        var ids = await KvmSwitch.Qmp.QmpDeviceCommands.ListPeripheralsAsync(Guest.Qmp, Stop);
        const string Prefix = "kvmswitch-device-";
        return [.. ids.Where(id => id.StartsWith(Prefix, StringComparison.Ordinal)).Select(id => id[Prefix.Length..]).Order(StringComparer.Ordinal)];
    }

    public async ValueTask DisposeAsync()
    {
        if (_guest is not null) await _guest.DisposeAsync();
        if (_host is not null) await _host.DisposeAsync();
    }

    // Only for those who ask: the lab's scenarios are in this program too.
    private async Task StartAsync()
    {
        _host = await DemoHost.CreateAsync(Inputs, Stop, text => text + """


            [[hotkey]]
            where = "guest"
            chord = "ctrl+alt+shift+m"
            action = "request"
            targets = ["mouse"]
            """);
        await Host.StartDaemonAsync(Stop);
        _guest = await DemoGuest.BootAsync(Host, Stop);
        await Guest.PairAsync(Stop);
    }

    private static string From(string variable, string below)
    {
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } given) return given;
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "KvmSwitch.sln"))) folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? throw new DirectoryNotFoundException("not in a checkout of the project"), below);
    }
}
