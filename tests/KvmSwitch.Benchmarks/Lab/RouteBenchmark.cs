namespace KvmSwitch.Benchmarks.Lab;

/// <summary>Gives a device and takes it home, ours and by hand in turns, so that a slow moment of the computer hits both.</summary>
internal sealed class RouteBenchmark(BenchHost host, Route route)
{
    private readonly Leg _give = new(route.Name, "give"), _take = new(route.Name, "take");

    /// <summary>Give and take.</summary>
    public IReadOnlyList<Leg> Legs => [_give, _take];

    /// <param name="rounds">One more is made before them and not counted: the kernel does some things once.</param>
    public async Task RunAsync(int rounds, CancellationToken cancellation)
    {
        await GiveAsync(cancellation);
        await route.LearnAsync(cancellation);
        await TakeAsync(cancellation);
        await ByHandAsync(isCounted: false, cancellation);
        for (var round = 0; round < rounds; round++)
        {
            _give.Moves.Add(await GiveAsync(cancellation));
            _take.Moves.Add(await TakeAsync(cancellation));
            await ByHandAsync(isCounted: true, cancellation);
        }
    }

    private Task<Move> GiveAsync(CancellationToken cancellation) => OursAsync("give", route.SeenThere, route.BehindThere, cancellation);

    private Task<Move> TakeAsync(CancellationToken cancellation) => OursAsync("take", route.SeenHome, route.Left, cancellation);

    /// <param name="after">What is waited for as well before anything else begins.</param>
    private async Task<Move> OursAsync(string verb, IReadOnlyList<string> seen, IReadOnlyList<string> after, CancellationToken cancellation)
    {
        await host.RestAsync(cancellation);
        var laps = await host.Watch.DoAsync([Command.Mark, Command.Run("kvmswitch", verb, route.Device, "--json"), .. seen, .. after], cancellation);
        Lap[] timed = [.. laps.Skip(1).Take(1 + seen.Count)];
        return new(Lap.Time(timed), Lap.Until(timed[0], timed[^1]), Lap.Until(timed[0], laps[^1]), timed[0].Json);
    }

    private async Task ByHandAsync(bool isCounted, CancellationToken cancellation)
    {
        await host.WithoutDaemonAsync(
            async () =>
            {
                IReadOnlyList<string> give = await route.GiveAsync(cancellation), take = route.Take();
                await host.RestAsync(cancellation);
                var given = await host.Watch.DoAsync([Command.Mark, .. give, .. route.BehindThere], cancellation);
                await host.RestAsync(cancellation);
                var taken = await host.Watch.DoAsync([Command.Mark, .. take, .. route.Left], cancellation);
                if (!isCounted) return;
                Note(_give, given, give.Count);
                _give.BareBehind.Add(Lap.Until(given[1], given[^1]));
                Note(_take, taken, take.Count);
            },
            cancellation);
        await host.WaitForHomeAsync(route.Device, cancellation);
    }

    /// <param name="laps">The mark, then what counts, then what is waited for as well.</param>
    private static void Note(Leg leg, IReadOnlyList<Lap> laps, int count)
    {
        leg.Bare.Add(Lap.Time([.. laps.Skip(1).Take(count)]));
        for (var i = 1; i <= count; i++) leg.BareParts.Add((laps[i].Name, (laps[i].Ended - (i == 1 ? laps[i].Begun : laps[i - 1].Ended)) / 1000.0));
    }
}
