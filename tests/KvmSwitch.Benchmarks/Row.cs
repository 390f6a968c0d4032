namespace KvmSwitch.Benchmarks;

/// <summary>Measured values of one thing, all in the same unit.</summary>
internal sealed class Samples(IEnumerable<double> values)
{
    private readonly double[] _sorted = [.. values.Order()];

    public int Count => _sorted.Length;

    public double Median => _sorted.Length % 2 == 1
        ? _sorted[_sorted.Length / 2]
        : (_sorted[(_sorted.Length / 2) - 1] + _sorted[_sorted.Length / 2]) / 2;

    /// <summary>The smallest sample that at least 95 % don't exceed; with few samples that is the largest.</summary>
    public double P95 => _sorted[(int)Math.Ceiling(_sorted.Length * 0.95) - 1];

    public static Samples One(double value) => new([value]);
}

/// <summary>A line of the table.</summary>
/// <param name="What">What was measured.</param>
/// <param name="Unit">Of the samples, the reference and the limit.</param>
internal sealed record Row(string What, string Unit, Samples Measured)
{
    /// <summary>What it is held against, in words; empty for a line that only informs.</summary>
    public string Against { get; private init; } = "";

    public double? Reference { get; private init; }

    /// <summary>The median may be this at most; null where nothing was promised.</summary>
    public double? Limit { get; private init; }

    public double? Ratio => Reference is > 0 ? Measured.Median / Reference : null;

    /// <summary>Null where nothing was promised.</summary>
    public bool? IsMet => Limit is { } limit ? Measured.Median <= limit : null;

    public Row Goal(double goal, string note = "") =>
        this with { Against = $"goal {goal:0.#} {Unit}{note}", Reference = goal, Limit = goal };

    /// <param name="limit">What may be added to the floor; null where nothing was promised.</param>
    public Row Floor(string what, Samples floor, Func<double, double>? limit = null) =>
        this with { Against = $"{what}: {floor.Median:0.0} {Unit}", Reference = floor.Median, Limit = limit?.Invoke(floor.Median) };
}
