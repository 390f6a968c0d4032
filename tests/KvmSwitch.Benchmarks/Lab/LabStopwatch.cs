using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using KvmSwitch.SystemTests.Lab;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>One thing that was done in the lab's host. Times are the host's own, microseconds.</summary>
/// <param name="Said">What there was to tell: an answer, a line that was heard, what a program printed.</param>
internal sealed record Lap(string Command, long Begun, long Ended, string Said)
{
    /// <summary>From the beginning of the first to the end of the last to end, milliseconds.</summary>
    public static double Time(IReadOnlyCollection<Lap> laps) => (laps.Max(lap => lap.Ended) - laps.First().Begun) / 1000.0;

    /// <summary>From the beginning of one to the end of another, milliseconds.</summary>
    public static double Until(Lap first, Lap last) => (last.Ended - first.Begun) / 1000.0;

    /// <summary>What was done, in a few words: <c>device_add</c>, <c>write unbind</c>, <c>await guest</c>.</summary>
    public string Name => Command.Split('\t') switch
    {
        ["send", var request] => (string)JsonNode.Parse(request)!["execute"]!,
        ["write", var path, ..] => $"write {Path.GetFileName(path)}",
        ["await", var source, ..] => $"await {source}",
        var words => words[0],
    };

    /// <summary>What a program printed as JSON, without what else it said.</summary>
    public JsonNode Json => JsonNode.Parse(Said[Said.IndexOf('{', StringComparison.Ordinal)..(Said.LastIndexOf('}') + 1)])!;
}

/// <summary>Drives tests/lab/bench/stopwatch.c, which does things in the lab's host and takes their times there.</summary>
internal sealed class LabStopwatch : IAsyncDisposable
{
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private readonly Stream _stream;
    private readonly StreamReader _answers;

    private LabStopwatch(Stream stream) => (_stream, _answers) = (stream, new(stream, Encoding.UTF8));

    public static async Task<LabStopwatch> StartAsync(LabShell shell, CancellationToken cancellation) =>
        new(await shell.StreamAsync("exec lab-stopwatch", Life, cancellation));

    /// <summary>Does one after the other, with no word from here between.</summary>
    /// <param name="commands">As <see cref="Command"/> makes them.</param>
    /// <exception cref="InvalidOperationException">One failed; those after it were done all the same.</exception>
    public async Task<IReadOnlyList<Lap>> DoAsync(IEnumerable<string> commands, CancellationToken cancellation)
    {
        var all = commands.ToArray();
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        late.CancelAfter(Patience);
        await _stream.WriteAsync(Encoding.UTF8.GetBytes(string.Concat(all.Select(command => command + "\n"))), late.Token);
        var laps = new List<Lap>();
        string? trouble = null;
        foreach (var command in all)
        {
            var parts = (await _answers.ReadLineAsync(late.Token))?.Split('\t', 4) ?? [];
            if (parts.Length < 4) throw new IOException($"the lab's stopwatch ended at '{command}'");
            laps.Add(new(command, Number(parts[1]), Number(parts[2]), parts[3]));
            if (parts[0] != "ok") trouble ??= $"in the lab's host '{command.Replace('\t', ' ')}' failed: {parts[3]}";
        }

        return trouble is null ? laps : throw new InvalidOperationException(trouble);
    }

    public ValueTask DisposeAsync()
    {
        _answers.Dispose();
        return ValueTask.CompletedTask;
    }

    private static long Number(string text) => long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}

/// <summary>The stopwatch's commands.</summary>
internal static class Command
{
    public const string Mark = "mark";

    public static string Connect(string source, string path) => $"connect\t{source}\t{path}";

    public static string Send(string command, JsonObject? arguments = null) => $"send\t{Qmp(command, arguments)}";

    /// <summary>QEMU gets a descriptor of the node, as the descriptor set of that number.</summary>
    public static string Lend(string node, bool forWriting, int set) =>
        $"lend\t{node}\t{(forWriting ? "rw" : "ro")}\t{Qmp("add-fd", new() { ["fdset-id"] = set })}";

    public static string Unlend(int set) => Send("remove-fd", new() { ["fdset-id"] = set });

    /// <summary>What the watcher in the guest writes about a device.</summary>
    public static string Guest(params string[] texts) => Await("guest", texts);

    /// <summary>The host's kernel has bound a driver below a device's directory.</summary>
    public static string Bound(string below, string driver) => Await("kernel", "ACTION=bind", below, $"DRIVER={driver} ");

    public static string Deleted(string id) => Await("qmp", "DEVICE_DELETED", $"\"device\": \"{id}\"");

    public static string Write(string path, string text) => $"write\t{path}\t{text}";

    public static string Own(string path, int user, int group) => $"own\t{path}\t{user}\t{group}";

    public static string LockMemory(int pid) => $"memlock\t{pid}";

    public static string Signal(int pid, int signal) => $"signal\t{pid}\t{signal}";

    public static string Free(string node) => $"free\t{node}";

    public static string Run(params string[] command) => $"run\t{string.Join('\t', command)}";

    private static string Await(string source, params string[] texts) => $"await\t{source}\t{string.Join('\t', texts)}";

    private static string Qmp(string command, JsonObject? arguments)
    {
        var request = new JsonObject { ["execute"] = command };
        if (arguments is not null) request["arguments"] = arguments;
        return request.ToJsonString();
    }
}
