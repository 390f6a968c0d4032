using System.Text.Json.Nodes;
using Xunit;

namespace KvmSwitch.Testing.Scenarios;

/// <summary>What scenarios are written with. Each is one text, carried out on fakes and on the real thing.</summary>
public abstract class Scenario
{
    /// <summary>A host in good order; disposing it ends or settles what the scenario left behind.</summary>
    protected abstract Task<IScenarioHost> BeginAsync();

    protected static string PlacementIn(JsonNode state, string device) => DeviceIn(state, device)["placement"]!.GetValue<string>();

    protected static JsonNode DeviceIn(JsonNode state, string device) =>
        state["devices"]!.AsArray().Single(entry => (string?)entry!["name"] == device)!;

    /// <summary>A command that must succeed.</summary>
    /// <returns>What it printed.</returns>
    protected static async Task<JsonNode> DoneAsync(IScenarioHost host, params string[] words)
    {
        var run = await host.RunAsync(words);
        Assert.True(run.ExitCode == 0, $"'kvmswitch {string.Join(' ', words)}' ended with {run.ExitCode}: {run.Error}");
        return run.Json;
    }

    /// <summary>A handoff that must succeed.</summary>
    protected static async Task<JsonNode> MovedAsync(IScenarioHost host, params string[] words)
    {
        var handoff = await DoneAsync(host, words);
        Assert.Equal("done", (string?)handoff["outcome"]);
        return handoff;
    }

    /// <summary>A command that must fail with this exit code and one sentence.</summary>
    /// <returns>The sentence.</returns>
    protected static async Task<string> RefusedAsync(IScenarioHost host, int exit, params string[] words)
    {
        var run = await host.RunAsync(words);
        Assert.True(run.ExitCode == exit, $"'kvmswitch {string.Join(' ', words)}' ended with {run.ExitCode} instead of {exit}: {run.Error}");
        return Assert.Single(run.Error.Trim().Split('\n'));
    }

    protected static async Task<string> PlacementOfAsync(IScenarioHost host, string device) =>
        PlacementIn(await DoneAsync(host, "status"), device);

    /// <summary>They come home by what has happened, without any time passing.</summary>
    protected static Task<JsonNode> ComeHomeAsync(IScenarioHost host, params string[] devices) =>
        host.SeesAsync(state => devices.All(device => PlacementIn(state, device) == "host"), $"{string.Join(", ", devices)} are home");

    /// <summary>They come home when a time is over.</summary>
    protected static Task<JsonNode> ComeHomeInTimeAsync(IScenarioHost host, params string[] devices) =>
        host.SeesInTimeAsync(state => devices.All(device => PlacementIn(state, device) == "host"), $"{string.Join(", ", devices)} are home");

    /// <summary>The newest handoff that the history tells.</summary>
    protected static async Task<JsonNode> NewestAsync(IScenarioHost host) => (await DoneAsync(host, "history"))["handoffs"]!.AsArray()[^1]!;

    protected static async Task<string?> GestureOfNewestAsync(IScenarioHost host) => (string?)(await NewestAsync(host))["gesture"];

    protected static IEnumerable<string> StepsNamed(JsonNode handoff, string name) => handoff["steps"]!.AsArray()
        .Where(step => (string?)step!["name"] == name).Select(step => (string)step!["device"]!).Order(StringComparer.Ordinal);
}
