using System.Diagnostics;
using KvmSwitch.Demo.Harness;

namespace KvmSwitch.Benchmarks;

/// <summary>The programs themselves: how soon they answer, and what the daemon costs when nothing moves.</summary>
internal sealed class ProgramBenchmark(DemoInputs inputs)
{
    private const int Windows = 4;
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(5);
    private readonly List<Row> _rows = [];

    public Section Section => new("Programs", _rows);

    /// <summary>Starts on a state directory that exists already: keys and certificates are made once in a computer's life.</summary>
    public async Task DaemonStartsAsync(int rounds, CancellationToken cancellation)
    {
        await using var host = await DemoHost.CreateAsync(inputs, cancellation);
        await host.StartDaemonAsync(cancellation);
        await host.EndDaemonAsync(ProcessSignal.Terminate, cancellation);
        var times = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            times.Add((await host.StartDaemonAsync(cancellation)).TotalMilliseconds);
            if (round < rounds - 1) await host.EndDaemonAsync(ProcessSignal.Terminate, cancellation);
        }

        _rows.Add(new Row("daemon: its start (setsid, sh) until it is ready", "ms", new(times)).Goal(300));
        await IdleAsync(host, "daemon, machine off", cancellation);
    }

    /// <summary>Its process from start to end, in turns with what no program can do without.</summary>
    public async Task StatusAsync(DemoHost host, int rounds, CancellationToken cancellation)
    {
        var (status, version, nothing) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = -1; round < rounds; round++)
        {
            var (first, second, third) = (
                await WallAsync(inputs.Cli, ["--socket", host.Socket, "status"], cancellation),
                await WallAsync(inputs.Cli, ["--version"], cancellation),
                await WallAsync("/bin/true", [], cancellation));
            if (round < 0) continue;
            status.Add(first);
            version.Add(second);
            nothing.Add(third);
        }

        _rows.Add(new Row("kvmswitch status, whole process", "ms", new(status)).Goal(15));
        _rows.Add(new Row("  held against the program's own start", "ms", new(status)).Floor("kvmswitch --version", new(version)));
        _rows.Add(new Row("  the start of any program (/bin/true)", "ms", new(nothing)));
    }

    public async Task IdleAsync(DemoHost host, string who, CancellationToken cancellation)
    {
        var pid = host.DaemonPid!.Value;

        // The runtime's own threads take some seconds to come to rest after work: the quietest window is the rest.
        var windows = new List<Rest>();
        while (windows.Count < Windows) windows.Add(await ProcessFigures.WatchAsync(pid, Quiet, cancellation));
        var rest = windows.MinBy(window => window.WakeUps)!;
        _rows.Add(new Row($"{who}: woken by timers (to ring, and to be set)", "/s", Samples.One(rest.ByTimers)).Goal(2));
        _rows.Add(new Row($"{who}: woken for any reason, any thread", "/s", Samples.One(rest.WakeUps)));
        _rows.Add(new Row($"{who}: processor time", "ms/s", Samples.One(rest.CpuMs)));
        _rows.Add(new Row($"{who}: resident memory", "MB", Samples.One(ProcessFigures.ResidentMb(pid))).Goal(40));
    }

    private static async Task<double> WallAsync(string program, IReadOnlyCollection<string> arguments, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true };
        var started = Stopwatch.GetTimestamp();
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        var wall = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return process.ExitCode == 0 ? wall : throw new InvalidOperationException($"{program} ended with {process.ExitCode}");
    }
}
