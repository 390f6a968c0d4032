using System.Text.Json.Nodes;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>One handoff as the daemon, its user and the listeners saw it; milliseconds.</summary>
/// <param name="Whole">From the start of the command's process until it had ended and the device was seen on the other side.</param>
/// <param name="Seen">From the start of the command's process until the device was seen on the other side.</param>
/// <param name="Behind">From the start of the command's process until all that was waited for was seen: what is behind the device works as well.</param>
/// <param name="Handoff">As the command told it.</param>
internal sealed record Move(double Whole, double Seen, double Behind, JsonNode Handoff)
{
    /// <summary>In the daemon, from the order to the proof.</summary>
    public double Duration => Handoff["duration_ms"]!.GetValue<double>();

    /// <summary>Where the time went: looking and writing down what is wanted, the steps, looking again.</summary>
    public IEnumerable<(string Part, double Ms)> Parts
    {
        get
        {
            var steps = Handoff["steps"]!.AsArray().Select(step => step!).ToArray();
            if (steps.Length == 0) yield break;
            yield return ("before the first step", steps.Min(Start));
            foreach (var step in steps) yield return ((string)step["name"]!, step["duration_ms"]!.GetValue<double>());
            yield return ("after the last step", Duration - steps.Max(step => Start(step) + step["duration_ms"]!.GetValue<double>()));
        }
    }

    private static double Start(JsonNode step) => step["start_ms"]!.GetValue<double>();
}

/// <summary>A route in one direction: ours, by hand, and by libvirt.</summary>
internal sealed class Leg(string route, string direction)
{
    /// <summary>What may be added to the floor.</summary>
    public const double Allowed = 1.05;

    public string Route => route;

    public string Direction => direction;

    public List<Move> Moves { get; } = [];

    public List<double> Bare { get; } = [];

    /// <summary>What the hand did, each for as long as the next thing had to wait for it.</summary>
    public List<(string Part, double Ms)> BareParts { get; } = [];

    /// <summary>By hand, until what is behind the device works as well.</summary>
    public List<double> BareBehind { get; } = [];

    /// <summary>libvirt's command: until it had ended and the device was seen on the other side. Empty where it wasn't asked.</summary>
    public List<double> Virsh { get; } = [];

    /// <summary>libvirt's command: until the device was seen on the other side.</summary>
    public List<double> VirshSeen { get; } = [];

    /// <summary>libvirt's command: until what is behind the device works as well.</summary>
    public List<double> VirshBehind { get; } = [];

    public Samples Ours => new(Moves.Select(move => move.Duration));

    public Samples Whole => new(Moves.Select(move => move.Whole));

    public Samples Floor => new(Bare);

    public double Ratio => Ours.Median / Floor.Median;

    public bool IsNearFloor => Ratio <= Allowed;

    /// <summary>Null where libvirt wasn't asked.</summary>
    public bool? IsFasterThanVirsh => Virsh.Count > 0 ? Whole.Median < new Samples(Virsh).Median : null;

    /// <summary>The same as lines of the common table.</summary>
    public Section Details()
    {
        var rows = new List<Row>
        {
            new Row("in the daemon, from the order to the proof", "ms", Ours).Floor("bare QMP", Floor, floor => floor * Allowed),
            new("  bare QMP, by hand", "ms", Floor),
            new Row("whole command, and seen on the other side", "ms", Whole),
            new("  seen on the other side", "ms", new(Moves.Select(move => move.Seen))),
        };
        if (Virsh.Count > 0)
        {
            rows[2] = rows[2].Floor("virsh, the same", new(Virsh), virsh => virsh);
            rows.Add(new("  virsh: whole command, and seen", "ms", new(Virsh)));
            rows.Add(new("  virsh: seen on the other side", "ms", new(VirshSeen)));
        }

        if (route == "controller" && direction == "give") rows.AddRange(Behind());
        rows.AddRange(PartsOf("ours", Moves.SelectMany(move => move.Parts)));
        rows.AddRange(PartsOf("bare QMP", BareParts));
        return new($"{route}: {direction}", rows);
    }

    private static IEnumerable<Row> PartsOf(string whose, IEnumerable<(string Part, double Ms)> parts) =>
        parts.GroupBy(part => part.Part, part => part.Ms).Select(part => new Row($"  of {whose}: {part.Key}", "ms", new(part)));

    private IEnumerable<Row> Behind()
    {
        yield return new("  the keyboard behind it works, from the command's start", "ms", new(Moves.Select(move => move.Behind)));
        yield return new("  bare QMP: the keyboard behind it works", "ms", new(BareBehind));
        if (VirshBehind.Count > 0) yield return new("  virsh: the keyboard behind it works", "ms", new(VirshBehind));
    }
}
