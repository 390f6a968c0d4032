using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Grpc.Core;
using KvmSwitch.Proto.V1;
using KvmSwitch.Testing.Scenarios;
using KvmSwitch.Tests.Cli;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>The whole daemon and the command line in this process, with a fake QEMU that is a process, and a guest's agent that plays along.</summary>
internal sealed class FakeScenarioHost : IScenarioHost
{
    private readonly Folder _folder;
    private readonly RunningDaemon _daemon;
    private readonly QemuProcess _process;
    private X509Certificate2 _certificate;
    private GuestWithEyes? _agent;
    private bool _silent;
    private bool _panicked;

    private FakeScenarioHost(Folder folder, RunningDaemon daemon, QemuProcess process, X509Certificate2 certificate) =>
        (_folder, _daemon, _process, _certificate) = (folder, daemon, process, certificate);

    public string Machine => "win";

    public static async Task<IScenarioHost> BeginAsync()
    {
        var folder = new Folder();
        var (daemon, process) = await RunningDaemon.WithProcessAsync(folder);
        var host = new FakeScenarioHost(folder, daemon, process, await daemon.PairAsync());
        await host.AgentComesBackAsync();
        return host;
    }

    public async Task<ScenarioRun> RunAsync(params string[] words)
    {
        var run = await CliRun.Async([.. words, "--json", "--socket", _daemon.Paths.Socket]);
        return new(run.Exit, run.Out, run.Error);
    }

    public Task<JsonNode> SeesAsync(Func<JsonNode, bool> wanted, string what) => _daemon.SeesAsync(wanted, what);

    public async Task<JsonNode> SeesInTimeAsync(Func<JsonNode, bool> wanted, string what)
    {
        await _daemon.SavedAsync();
        var seeing = _daemon.SeesAsync(wanted, what);
        while (!seeing.IsCompleted)
        {
            _daemon.Time.Advance(TimeSpan.FromMilliseconds(250));
            if (!_silent) await BeatAsync();
            await Task.WhenAny(seeing, Task.Delay(RunningDaemon.Step));
        }

        return await seeing;
    }

    public Task<IReadOnlyList<string>> PluggedInAsync() =>
        Task.FromResult<IReadOnlyList<string>>([.. _daemon.Plugged().Order(StringComparer.Ordinal)]);

    public Task<IAsyncDisposable> BlockAsync(string device)
    {
        // Ports are given out in the order of the configuration, a controller for each device.
        var bus = device == "keyboard" ? "usb0.0" : "usb1.0";
        _daemon.Qemu.PlugIn(new("foreign", "usb-tablet", new() { ["bus"] = bus, ["port"] = "1" }));
        return Until(() => _daemon.Qemu.PullOutAsync("foreign"));
    }

    public Task PressReturnHotkeyAsync() => AskAsync(GuestAction.Types.Verb.Return);

    public Task PressRequestHotkeyAsync() => AskAsync(GuestAction.Types.Verb.Request, "mouse");

    public Task<IAsyncDisposable> SilenceAgentAsync()
    {
        _silent = true;
        return Until(async () =>
        {
            _silent = false;
            await AgentComesBackAsync();
        });
    }

    public async Task<IAsyncDisposable> FreezeGuestAsync()
    {
        await _daemon.Qemu.RaiseAsync("STOP");
        var silence = await SilenceAgentAsync();
        return await Until(async () =>
        {
            await _daemon.Qemu.RaiseAsync("RESUME");
            await silence.DisposeAsync();
        });
    }

    public async Task KillAgentAsync()
    {
        await EndAgentAsync();
        await _daemon.WaitForAgentAsync(Machine, live: false);
    }

    public async Task ResetGuestAsync()
    {
        await _daemon.Qemu.GuestResetAsync();
        await EndAgentAsync();
    }

    public async Task PanicGuestAsync()
    {
        await _daemon.Qemu.GuestPanicAsync();
        await EndAgentAsync();
        _panicked = true;
    }

    public async Task KillQemuAsync()
    {
        _process.Kill();
        await EndAgentAsync();
    }

    public async Task KillDaemonAsync()
    {
        await _daemon.StopAsync();
        await EndAgentAsync();
    }

    public Task StartDaemonAsync() => _daemon.StartAgainAsync();

    public async Task AgentComesBackAsync()
    {
        if (_panicked) await _daemon.Qemu.GuestResetAsync();
        _panicked = false;
        if (_agent is null) _agent = await _daemon.LinkAsync(Machine, _certificate);
        else await _agent.BeatAsync();
        await _daemon.WaitForAgentAsync(Machine, live: true);
    }

    public async Task PairAsync()
    {
        await EndAgentAsync();
        _certificate.Dispose();
        _certificate = await _daemon.PairAsync();
        await AgentComesBackAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await EndAgentAsync();
        await _daemon.DisposeAsync();
        await _process.DisposeAsync();
        _certificate.Dispose();
        _folder.Dispose();
    }

    private static Task<IAsyncDisposable> Until(Func<Task> over) => Task.FromResult<IAsyncDisposable>(new Ending(over));

    private async Task AskAsync(GuestAction.Types.Verb verb, params string[] targets) => Assert.Equal("", await _agent!.AskAsync(verb, targets));

    private async Task BeatAsync()
    {
        if (_agent is not { } agent) return;
        try
        {
            await agent.BeatAsync();
        }
        catch (Exception end) when (end is RpcException or IOException or InvalidOperationException or OperationCanceledException)
        {
            // The daemon ended the link: what a scenario expects of that, it says.
            await EndAgentAsync();
        }
    }

    private async Task EndAgentAsync()
    {
        if (_agent is not { } agent) return;
        _agent = null;
        await agent.DisposeAsync();
    }

    private sealed class Ending(Func<Task> over) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => new(over());
    }
}

/// <inheritdoc/>
public sealed class FakeHandoffScenarios : HandoffScenarios
{
    protected override Task<IScenarioHost> BeginAsync() => FakeScenarioHost.BeginAsync();
}

/// <inheritdoc/>
public sealed class FakeLossScenarios : LossScenarios
{
    protected override Task<IScenarioHost> BeginAsync() => FakeScenarioHost.BeginAsync();
}
