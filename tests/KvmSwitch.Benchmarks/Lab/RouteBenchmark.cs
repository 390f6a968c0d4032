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
        await OursAsync("give", route.SeenThere, cancellation);
        await route.LearnAsync(cancellation);
        await OursAsync("take", route.SeenHome, cancellation, route.Left);
        await ByHandAsync(cancellation);
        for (var round = 0; round < rounds; round++)
        {
            _give.Moves.Add(await OursAsync("give", route.SeenThere, cancellation));
            _take.Moves.Add(await OursAsync("take", route.SeenHome, cancellation, route.Left));
            var (given, taken) = await ByHandAsync(cancellation);
            _give.Bare.Add(given);
            _take.Bare.Add(taken);
        }
    }

    /// <param name="after">What is waited for as well before anything else begins; it isn't counted.</param>
    private async Task<Move> OursAsync(string verb, IReadOnlyList<string> seen, CancellationToken cancellation, IReadOnlyList<string>? after = null)
    {
        var laps = await host.Watch.DoAsync([Command.Mark, Command.Run("kvmswitch", verb, route.Device, "--json"), .. seen, .. after ?? []], cancellation);
        Lap[] timed = [.. laps.Skip(1).Take(1 + seen.Count)];
        return new(Lap.Time(timed), (timed[^1].Ended - timed[0].Begun) / 1000.0, timed[0].Json);
    }

    private async Task<(double Given, double Taken)> ByHandAsync(CancellationToken cancellation)
    {
        var times = await host.WithoutDaemonAsync(
            async () =>
            {
                var given = await host.Watch.DoAsync([Command.Mark, .. await route.GiveAsync(cancellation)], cancellation);
                var hand = route.Take();
                var taken = await host.Watch.DoAsync([Command.Mark, .. hand, .. route.Left], cancellation);
                return (Lap.Time([.. given.Skip(1)]), Lap.Time([.. taken.Skip(1).Take(hand.Count)]));
            },
            cancellation);
        await host.WaitForHomeAsync(route.Device, cancellation);
        return times;
    }
}
