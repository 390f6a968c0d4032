using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading.Channels;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Persistence;

/// <summary>
/// The history of handoffs: the newest in memory, all of them appended to <c>history.jsonl</c> (one JSON object a line), and a log line
/// for each. The file is cut to its newer half when it grows over 1 MiB.
/// </summary>
internal sealed partial class HandoffLog : IHandoffJournal, IAsyncDisposable
{
    private const int Kept = 500;
    private const long MaxBytes = 1 << 20;

    private readonly string _path;
    private readonly ILogger<HandoffLog> _log;
    private readonly Channel<Handoff> _unwritten = Channel.CreateBounded<Handoff>(
        new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly Task _writing;
    private ImmutableList<Handoff> _newest;

    public HandoffLog(string path, ILogger<HandoffLog> log)
    {
        (_path, _log) = (path, log);
        _newest = [.. ReadFile().TakeLast(Kept)];
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>The newest handoffs, newest first.</summary>
    public IEnumerable<Handoff> Newest(int count) => Volatile.Read(ref _newest).Reverse().Take(count);

    public void Record(Handoff handoff)
    {
        // Only the switching loop records.
        var newest = _newest.Add(handoff);
        Volatile.Write(ref _newest, newest.Count > Kept ? newest.RemoveAt(0) : newest);
        _unwritten.Writer.TryWrite(handoff);
        LogHandoff(
            handoff.Id, handoff.Gesture, string.Join(',', handoff.Devices), string.Join(',', handoff.From.Distinct()), handoff.To,
            handoff.Outcome, handoff.Duration.TotalMilliseconds, Describe(handoff.Steps), handoff.Error ?? "", handoff.Uid);
    }

    public void StepBegins(string handoff, Step step) => LogStep(handoff, step.Name, step.Device.Id);

    public async ValueTask DisposeAsync()
    {
        _unwritten.Writer.TryComplete();
        await _writing;
    }

    private static string Describe(ImmutableArray<HandoffStep> steps) =>
        string.Join(' ', steps.Select(step => $"{step.Name}:{step.Device}={step.Duration.TotalMilliseconds:0.0}"));

    private async Task WriteAsync()
    {
        await foreach (var handoff in _unwritten.Reader.ReadAllAsync())
        {
            try
            {
                Append(handoff);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                LogNotWritten(_path, failure.Message);
            }
        }
    }

    private void Append(Handoff handoff)
    {
        if (File.Exists(_path) && new FileInfo(_path).Length > MaxBytes)
        {
            var lines = File.ReadAllLines(_path);
            File.WriteAllLines(_path, lines[(lines.Length / 2)..]);
        }

        var line = JsonSerializer.Serialize(Line.Of(handoff), HistoryJson.Default.Line) + "\n";
        using var file = new FileStream(_path, new FileStreamOptions
        {
            Mode = FileMode.Append,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        file.Write(Encoding.UTF8.GetBytes(line));
    }

    /// <summary>Lines that a full disk or a power cut spoiled are passed over: the history explains, it decides nothing.</summary>
    private List<Handoff> ReadFile()
    {
        var handoffs = new List<Handoff>();
        var spoiled = 0;
        foreach (var line in ReadLines())
        {
            try
            {
                if (JsonSerializer.Deserialize(line, HistoryJson.Default.Line) is { } read) handoffs.Add(read.Read());
            }
            catch (Exception bad) when (bad is JsonException or FormatException or ArgumentException)
            {
                spoiled++;
            }
        }

        if (spoiled > 0) LogSpoiled(_path, spoiled);
        return handoffs;
    }

    private string[] ReadLines()
    {
        try
        {
            return File.Exists(_path) && new FileInfo(_path).Length <= 2 * MaxBytes ? File.ReadAllLines(_path) : [];
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            LogNotRead(_path, failure.Message);
            return [];
        }
    }

    [LoggerMessage(1010, LogLevel.Information,
        "Handoff {Id} ({Gesture}): {Devices} {From} -> {To}: {Outcome} in {Milliseconds:0.0} ms [{Steps}] {Error} uid={Uid}")]
    private partial void LogHandoff(
        string id, string gesture, string devices, string from, Owner to, Outcome outcome, double milliseconds, string steps, string error, long uid);

    [LoggerMessage(1011, LogLevel.Debug, "Handoff {Id}: {Step} {Device} …")]
    private partial void LogStep(string id, string step, DeviceId device);

    [LoggerMessage(1012, LogLevel.Warning, "The history in {Path} could not be written: {Reason}")]
    private partial void LogNotWritten(string path, string reason);

    [LoggerMessage(1013, LogLevel.Warning, "{Count} lines of the history in {Path} can't be read and are passed over")]
    private partial void LogSpoiled(string path, int count);

    [LoggerMessage(1014, LogLevel.Warning, "The history in {Path} can't be read: {Reason}")]
    private partial void LogNotRead(string path, string reason);

    internal sealed record StepLine(string Name, string Device, double StartMs, double DurationMs, string? Error);

    internal sealed record Line(
        string Id, string Gesture, long Uid, string[] Devices, string[] From, string To, string Outcome, string? Error,
        DateTimeOffset Started, double DurationMs, StepLine[] Steps)
    {
        public static Line Of(Handoff handoff) => new(
            handoff.Id, handoff.Gesture, handoff.Uid, [.. handoff.Devices.Select(id => id.Value)], [.. handoff.From.Select(owner => owner.ToString())],
            handoff.To.ToString(), handoff.Outcome.ToString(), handoff.Error, handoff.Started, handoff.Duration.TotalMilliseconds,
            [.. handoff.Steps.Select(step => new StepLine(
                step.Name, step.Device.Value, step.Start.TotalMilliseconds, step.Duration.TotalMilliseconds, step.Error))]);

        /// <exception cref="FormatException">Something is missing or makes no sense.</exception>
        /// <exception cref="ArgumentException">The same.</exception>
        public Handoff Read() => new(
            Present(Id), Present(Gesture), Uid, [.. Devices.Select(DeviceId.Parse)], [.. From.Select(Owner.Parse)], Owner.Parse(To),
            Enum.Parse<Outcome>(Outcome), Error, Started, Time(DurationMs), [.. Steps.Select(step => Read(step))]);

        private static HandoffStep Read(StepLine? step) => step is null
            ? throw new FormatException("a step is missing")
            : new(Present(step.Name), DeviceId.Parse(step.Device), Time(step.StartMs), Time(step.DurationMs), step.Error);

        private static string Present(string? text) => text ?? throw new FormatException("a name is missing");

        private static TimeSpan Time(double milliseconds) => Math.Abs(milliseconds) < TimeSpan.MaxValue.TotalMilliseconds / 2
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new FormatException("a time is out of range");
    }

    [JsonSourceGenerationOptions(
        PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
    [JsonSerializable(typeof(Line))]
    internal sealed partial class HistoryJson : JsonSerializerContext;
}
