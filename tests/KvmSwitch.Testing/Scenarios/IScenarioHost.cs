using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Scenarios;

/// <summary>What a command line ended with.</summary>
public sealed record ScenarioRun(int ExitCode, string Output, string Error)
{
    /// <summary>The document that it printed; of several, one a line, the last.</summary>
    public JsonNode Json
    {
        get
        {
            var output = Output.Trim();
            return JsonNode.Parse(output.StartsWith("{\n", StringComparison.Ordinal) ? output : output.Split('\n')[^1])!;
        }
    }
}

/// <summary>
/// A daemon with one machine whose guest is paired, live and holds nothing: the published programs with a real QEMU and guest, or a daemon in
/// this process with fakes. Devices: <c>keyboard</c> and <c>mouse</c> (hid, together the set <c>desk</c>), <c>drive</c> (storage). In the guest
/// one hotkey gives everything back, and one asks for the mouse, which alone it may ask for.
/// </summary>
public interface IScenarioHost : IAsyncDisposable
{
    /// <summary>The machine's name.</summary>
    string Machine { get; }

    /// <summary>Runs <c>kvmswitch WORDS --json</c>, whatever it ends with.</summary>
    Task<ScenarioRun> RunAsync(params string[] words);

    /// <summary>Waits for a state that comes by what has happened, and not because a time is over: a clock that can stand still stands.</summary>
    /// <returns>The state, as <c>kvmswitch status</c> tells it.</returns>
    Task<JsonNode> SeesAsync(Func<JsonNode, bool> wanted, string what);

    /// <summary>Waits for a state that comes when a time of ours is over.</summary>
    Task<JsonNode> SeesInTimeAsync(Func<JsonNode, bool> wanted, string what);

    /// <summary>The devices of ours that QEMU itself lists, in the order of their names.</summary>
    Task<IReadOnlyList<string>> PluggedInAsync();

    /// <summary>Until disposed, QEMU refuses to plug this device in.</summary>
    Task<IAsyncDisposable> BlockAsync(string device);

    /// <summary>Somebody in the guest presses the hotkey that gives everything back.</summary>
    Task PressReturnHotkeyAsync();

    /// <summary>Somebody in the guest presses the hotkey that asks for the mouse.</summary>
    Task PressRequestHotkeyAsync();

    /// <summary>Until disposed, the agent says nothing, while its guest goes on; then it is live again.</summary>
    Task<IAsyncDisposable> SilenceAgentAsync();

    /// <summary>Until disposed, nothing in the guest runs.</summary>
    Task<IAsyncDisposable> FreezeGuestAsync();

    /// <summary>Kills the agent, and waits until the daemon has noticed. It comes back by itself.</summary>
    Task KillAgentAsync();

    Task ResetGuestAsync();

    /// <summary>The guest panics, and starts anew by itself some time later.</summary>
    Task PanicGuestAsync();

    Task KillQemuAsync();

    /// <summary>Ends the daemon as abruptly as this host can. Machines go on.</summary>
    Task KillDaemonAsync();

    /// <summary>Starts the daemon again on the files that are there.</summary>
    Task StartDaemonAsync();

    /// <summary>Waits until the agent has come back and is live.</summary>
    Task AgentComesBackAsync();

    /// <summary>Pairs the guest anew, as a user would; it is live then.</summary>
    Task PairAsync();
}
