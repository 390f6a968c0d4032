using System.Diagnostics;
using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;

namespace KvmSwitch.Benchmarks;

/// <summary>Handing devices over and back, in turns with the floor, so that a slow moment of the computer hits both.</summary>
internal sealed class HandoffBenchmark(DemoHost host, DemoGuest guest)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly (string Device, string Driver)[] Three = [("keyboard", "usb-kbd"), ("mouse", "usb-mouse"), ("tablet", "usb-tablet")];

    private readonly List<double> _bareOne = [], _bareThree = [], _bareDel = [], _roundTrip = [];
    private readonly List<Given> _one = [], _three = [], _back = [];

    /// <summary>One move as its user and the history see it, milliseconds.</summary>
    /// <param name="Wall">From the start of the command's process to its end.</param>
    /// <param name="Seen">From the start of the command to the sighting in the guest, as the floor's reader reports it.</param>
    private sealed record Given(double Wall, double Seen, JsonNode Handoff)
    {
        public double Duration => Handoff["duration_ms"]!.GetValue<double>();

        /// <summary>Looking where everything is and writing down what is wanted: until the first step.</summary>
        public double Before => Steps.Min(step => step["start_ms"]!.GetValue<double>());

        public double Attach => Steps.Where(step => (string?)step["name"] == "attach").Sum(step => step["duration_ms"]!.GetValue<double>());

        public double Confirm => Steps.Where(step => (string?)step["name"] == "confirm").Max(step => step["duration_ms"]!.GetValue<double>());

        /// <summary>Looking once more, after the last step.</summary>
        public double After => Duration - Steps.Max(step => step["start_ms"]!.GetValue<double>() + step["duration_ms"]!.GetValue<double>());

        private IEnumerable<JsonNode> Steps => Handoff["steps"]!.AsArray().Select(step => step!);
    }

    public async Task<IReadOnlyList<Section>> RunAsync(int rounds, CancellationToken cancellation)
    {
        await GiveAsync([.. Three.Select(pair => pair.Device)], cancellation);
        var bare = new List<BareDevice>();
        foreach (var (device, driver) in Three) bare.Add(await BareDevice.LikeAsync(guest, device, driver, cancellation));
        await TakeAsync(Three.Length, cancellation);

        for (var round = 0; round < rounds; round++)
        {
            _bareOne.Add(await BareDevice.AddAsync(guest, bare[..1], cancellation));
            _bareDel.Add(await BareDevice.RemoveAsync(guest, bare[..1], cancellation));
            _one.Add(await GiveAsync(["keyboard"], cancellation));
            _back.Add(await TakeAsync(1, cancellation));
            _bareThree.Add(await BareDevice.AddAsync(guest, bare, cancellation));
            await BareDevice.RemoveAsync(guest, bare, cancellation);
            _three.Add(await GiveAsync([.. Three.Select(pair => pair.Device)], cancellation));
            await TakeAsync(Three.Length, cancellation);
            _roundTrip.Add(await RoundTripAsync(cancellation));
        }

        return [Handoffs(), Parts()];
    }

    private Section Handoffs()
    {
        var (floor, one) = (new Samples(_bareOne), Of(_one, given => given.Duration));
        return new("Handoffs (virtual devices, a real guest)",
        [
            new Row("give keyboard, until its agent confirmed it", "ms", one).Floor("bare device_add, seen in the guest", floor, Allowed),
            new Row("  as its user waits: the whole process", "ms", Of(_one, given => given.Wall)),
            new Row("give keyboard, mouse and tablet", "ms", Of(_three, given => given.Duration)).Floor("one", one, single => single * 1.3),
            new Row("  the same by bare device_add, three times", "ms", new(_bareThree)).Floor("one, bare", floor),
            new Row("take keyboard, until it is home", "ms", Of(_back, given => given.Duration)).Floor("bare device_del", new(_bareDel)),
            new Row("  as its user waits: the whole process", "ms", Of(_back, given => given.Wall)),
        ]);
    }

    private Section Parts() => new("Where the time of 'give keyboard' goes",
    [
        new("look and write the state (before the first step)", "ms", Of(_one, given => given.Before)),
        new("attach (QMP)", "ms", Of(_one, given => given.Attach)),
        new("confirm (the guest's kernel, its agent, the link)", "ms", Of(_one, given => given.Confirm)),
        new("look again (after the last step)", "ms", Of(_one, given => given.After)),
        new("command's start to the sighting on the floor's reader", "ms", Of(_one, given => given.Seen)),
        new("one QMP round trip (query-status), for comparison", "ms", new(_roundTrip)),
    ]);

    /// <summary>At most 5 % or 5 ms above the floor, whichever is more.</summary>
    private static double Allowed(double floor) => Math.Max(floor * 1.05, floor + 5);

    private static Samples Of(IEnumerable<Given> given, Func<Given, double> part) => new(given.Select(part));

    private Task<Given> GiveAsync(string[] devices, CancellationToken cancellation) =>
        MoveAsync(["give", .. devices], devices.Length, "present", cancellation);

    private Task<Given> TakeAsync(int count, CancellationToken cancellation) => MoveAsync(["take", "--all"], count, "gone", cancellation);

    private async Task<Given> MoveAsync(string[] command, int count, string sighting, CancellationToken cancellation)
    {
        var from = guest.Watch.Sightings.Count;
        var started = Stopwatch.GetTimestamp();
        var handoff = await host.RunAsync(cancellation, command);
        var wall = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        var seen = await guest.Watch.WaitForAsync(BareDevice.Times(count, sighting), Patience, cancellation, from);
        return new(wall, Stopwatch.GetElapsedTime(started, seen.Timestamp).TotalMilliseconds, handoff);
    }

    private async Task<double> RoundTripAsync(CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        await guest.Qmp.QueryStatusAsync(cancellation);
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }
}
