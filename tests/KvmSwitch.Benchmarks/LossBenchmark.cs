using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using KvmSwitch.Demo.Harness;

namespace KvmSwitch.Benchmarks;

/// <summary>How soon a keyboard is home, and shown to be, when whoever holds it dies.</summary>
internal sealed partial class LossBenchmark(DemoInputs inputs)
{
    private const double LeaseMs = 2000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly List<double> _killed = [], _silent = [], _sinceStop = [];

    public async Task<Section> RunAsync(int kills, int silences, CancellationToken cancellation)
    {
        await using var tap = new LinkTap();
        await using var host = await DemoHost.CreateAsync(
            inputs, cancellation, text => Advertised().Replace(text, $"advertise = [\"10.0.2.2:{tap.Port}\"]"));
        tap.ForwardTo(host.Port);
        await host.StartDaemonAsync(cancellation);
        for (var kill = 0; kill < kills; kill++)
        {
            await using var guest = await DemoGuest.BootAsync(host, cancellation);
            if (kill == 0) await guest.PairAsync(cancellation);
            else await guest.WaitUntilLiveAsync(cancellation);
            for (; kill == 0 && _silent.Count < silences;) await SilenceAsync(host, guest, tap, cancellation);
            await host.RunAsync(cancellation, "give", "keyboard");
            _killed.Add(await TimeToHomeAsync(host, () => Task.FromResult(Kill(host.QemuPid()!.Value)), cancellation));
        }

        return new("Loss, until 'status --watch' shows the keyboard at home",
        [
            new Row("QEMU killed (SIGKILL) while it holds the keyboard", "ms", new(_killed)).Goal(100),
            new Row("agent silent, from its last heartbeat on", "ms", new(_silent)).Goal(LeaseMs + 200, " (lease + 200)"),
            new Row("  from its SIGSTOP on, up to a heartbeat (500 ms) later", "ms", new(_sinceStop)),
        ]);
    }

    [GeneratedRegex("""advertise = \["[^"]*"\]""", RegexOptions.None, 1000)]
    private static partial Regex Advertised();

    private async Task SilenceAsync(DemoHost host, DemoGuest guest, LinkTap tap, CancellationToken cancellation)
    {
        await host.RunAsync(cancellation, "give", "keyboard");

        // What else the agent had to say about the keyboard must be over: from then on, it only sends heartbeats.
        for (var beat = 0; beat < 2; beat++)
        {
            var last = tap.LastHeartbeat;
            await Condition.HoldsAsync(() => tap.LastHeartbeat != last, "the agent sent a heartbeat", Patience, cancellation);
        }

        var lastBeat = 0L;
        _sinceStop.Add(await TimeToHomeAsync(
            host,
            async () =>
            {
                await SignalAgentAsync(guest, "STOP", cancellation);
                lastBeat = tap.LastHeartbeat;
                return Stopwatch.GetTimestamp();
            },
            cancellation,
            home => _silent.Add(Stopwatch.GetElapsedTime(lastBeat, home).TotalMilliseconds)));
        await SignalAgentAsync(guest, "CONT", cancellation);
        await guest.WaitUntilLiveAsync(cancellation);
    }

    /// <param name="strike">Does it, and tells when.</param>
    /// <returns>Milliseconds from then on.</returns>
    private async Task<double> TimeToHomeAsync(
        DemoHost host, Func<Task<long>> strike, CancellationToken cancellation, Action<long>? atHome = null)
    {
        await using var watch = ChildProcess.Start(inputs.Cli, ["--socket", host.Socket, "status", "--watch", "--json"]);
        await watch.WaitForLineAsync(line => IsAt(line, "demo"), Patience, cancellation);
        var from = watch.Lines.Count;
        var shown = 0L;
        var waiting = watch.WaitForLineAsync(
            line =>
            {
                var now = Stopwatch.GetTimestamp();
                if (!IsAt(line, "host")) return false;
                shown = now;
                return true;
            },
            Patience, cancellation, from);
        var struck = await strike();
        await waiting;
        atHome?.Invoke(shown);
        return Stopwatch.GetElapsedTime(struck, shown).TotalMilliseconds;
    }

    private static bool IsAt(string line, string place) => line.StartsWith('{') && JsonNode.Parse(line)!["devices"]!.AsArray()
        .Any(device => (string?)device!["name"] == "keyboard" && (string?)device["placement"] == place);

    private static long Kill(int pid)
    {
        using var process = Process.GetProcessById(pid);
        var now = Stopwatch.GetTimestamp();
        process.Kill();
        return now;
    }

    private static Task<string> SignalAgentAsync(DemoGuest guest, string signal, CancellationToken cancellation) =>
        guest.Console.RunAsync($"kill -{signal} $(cat /run/agent.pid)", Patience, cancellation);
}
