namespace KvmSwitch.Benchmarks.Lab;

/// <summary>The relay: how soon a switch is over, and what it adds to each key, beside the simplest loop that reads and writes.</summary>
internal sealed class RelayBenchmark(BenchHost host, LabTypist typist)
{
    private const int Keys = 200;
    private const double SwitchGoal = 1;
    private const double LoopAllowed = 1.5;
    private const string Device = "typing";
    private readonly List<double> _direct = [], _loop = [], _ours = [];
    private readonly List<double> _giveSilence = [], _takeSilence = [], _giveWait = [], _takeWait = [], _giveTime = [], _takeTime = [], _lost = [];

    public async Task RunAsync(int rounds, CancellationToken cancellation)
    {
        await MoveAsync("give", cancellation);
        await MoveAsync("take", cancellation);
        var clone = await host.Shell.RunAsync("basename $(dirname $(dirname $(grep -l '^KvmSwitch Lab typist' /sys/class/input/event*/device/name)))", cancellation);

        // QEMU grabs the clone when it first takes it, and then we couldn't hear it. Given anew while we have it grabbed, QEMU takes it without.
        await host.Watch.DoAsync([Command.Send("object-del", new() { ["id"] = $"kvmswitch-device-{Device}" })], cancellation);
        for (var round = 0; round < rounds; round++)
        {
            await SwitchAsync(clone, isCounted: round > 0, cancellation);
            await DelaysAsync(clone, cancellation);
        }
    }

    public Section Section()
    {
        var direct = new Samples(_direct);
        Samples Added(IEnumerable<double> delays) => new(delays.Select(delay => delay - direct.Median));
        return new("Relay",
        [
            new Row("give: neither side hears the keyboard", "ms", new(_giveSilence)).Goal(SwitchGoal),
            new Row("take: neither side hears the keyboard", "ms", new(_takeSilence)).Goal(SwitchGoal),
            new("  keys that were heard nowhere, each switch", "", new(_lost)),
            new Row("give in the daemon, all of it", "ms", new(_giveTime)).Goal(SwitchGoal),
            new Row("take in the daemon, all of it", "ms", new(_takeTime)).Goal(SwitchGoal),
            new("  give: from the command's start to the first key there", "ms", new(_giveWait)),
            new("  take: from the command's start to the first key here", "ms", new(_takeWait)),
            new Row("delay that the relay adds to a key", "us", Added(_ours)).Floor("bare C loop", Added(_loop), loop => loop * LoopAllowed),
            new("  without any relay", "us", direct),
            new("  with the bare C loop", "us", new(_loop)),
            new("  with ours", "us", new(_ours)),
        ]);
    }

    private async Task SwitchAsync(string clone, bool isCounted, CancellationToken cancellation)
    {
        foreach (var verb in new[] { "give", "take" })
        {
            Lap? lap = null;
            var crossing = await typist.CrossAsync(clone, async () => lap = await MoveAsync(verb, cancellation), cancellation);
            if (!isCounted) continue;
            var (silence, wait, time) = verb == "give" ? (_giveSilence, _giveWait, _giveTime) : (_takeSilence, _takeWait, _takeTime);
            silence.Add(crossing.Silence);
            wait.Add((crossing.FirstThere - lap!.Begun) / 1000.0);
            time.Add(lap.Json["duration_ms"]!.GetValue<double>());
            _lost.Add(crossing.Lost);
        }
    }

    private async Task DelaysAsync(string clone, CancellationToken cancellation)
    {
        await host.WithoutDaemonAsync(
            async () =>
            {
                _direct.AddRange(await typist.DelaysAsync(typist.Event, Keys, cancellation));
                _loop.AddRange(await typist.DelaysByLoopAsync(Keys, cancellation));
            },
            cancellation);
        await host.WaitForHomeAsync(Device, cancellation);
        await MoveAsync("give", cancellation);
        _ours.AddRange(await typist.DelaysAsync(clone, Keys, cancellation));
        await MoveAsync("take", cancellation);
    }

    private async Task<Lap> MoveAsync(string verb, CancellationToken cancellation) =>
        (await host.Watch.DoAsync([Command.Run("kvmswitch", verb, Device, "--json")], cancellation))[0];
}
