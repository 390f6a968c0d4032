using System.Globalization;
using System.Text;
using KvmSwitch.SystemTests.Lab;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>A move while keys were typed each millisecond. Times are the lab's host's, microseconds.</summary>
/// <param name="Missed">The first key was typed that the side it came from doesn't hear any more.</param>
/// <param name="FirstThere">The first one was heard on the other side.</param>
/// <param name="Lost">Keys that were heard nowhere.</param>
internal sealed record Crossing(long Missed, long FirstThere, int Lost)
{
    /// <summary>How long no side heard what was typed, milliseconds: where nothing is lost, how long the first key took that the other side heard.</summary>
    public double Silence => (FirstThere - Missed) / 1000.0;
}

/// <summary>A keyboard in the lab's host that types by itself (tests/lab/bench/keys.c).</summary>
internal sealed class LabTypist : IAsyncDisposable
{
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private readonly LabShell _shell;
    private readonly Stream _stream;
    private readonly StreamReader _answers;

    private LabTypist(LabShell shell, Stream stream) => (_shell, _stream, _answers) = (shell, stream, new(stream, Encoding.UTF8));

    /// <summary>Its event node's name.</summary>
    public string Event { get; private set; } = "";

    public string Node => $"/dev/input/{Event}";

    /// <summary>Plugs it in, and makes the link by which the configuration knows it.</summary>
    public static async Task<LabTypist> StartAsync(LabShell shell, CancellationToken cancellation)
    {
        var typist = new LabTypist(shell, await shell.StreamAsync("exec lab-keys type", Life, cancellation));
        typist.Event = await typist.HearAsync(cancellation);
        await shell.RunAsync(
            $"mkdir -p /dev/input/by-id; ln -sf ../{typist.Event} /dev/input/by-id/{BenchHost.TypistLink}; udevadm settle; " +
            $"udevadm trigger --action=change --settle {typist.Node}",
            cancellation);
        return typist;
    }

    /// <summary>How long keys take from this keyboard to a node, microseconds each.</summary>
    public async Task<double[]> DelaysAsync(string node, int keys, CancellationToken cancellation)
    {
        var said = await AskAsync($"delay {node} {keys}", cancellation);
        return [.. said.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(text => double.Parse(text, CultureInfo.InvariantCulture))];
    }

    /// <summary>The same through the simplest relay that there is.</summary>
    public async Task<double[]> DelaysByLoopAsync(int keys, CancellationToken cancellation)
    {
        await using var stream = await _shell.StreamAsync($"exec lab-keys relay {Event}", Life, cancellation);
        using var said = new StreamReader(stream);
        var node = await said.ReadLineAsync(cancellation) ?? throw new IOException("the bare relay did not start");
        await _shell.RunAsync("udevadm settle", cancellation);
        return await DelaysAsync(node, keys, cancellation);
    }

    /// <summary>Types while something hands it over, and a little before and after.</summary>
    /// <param name="clone">The event node that is to hear it, or that hears it now.</param>
    public async Task<Crossing> CrossAsync(string clone, Func<Task> handOver, CancellationToken cancellation)
    {
        if (await AskAsync($"across {clone}", cancellation) != "ready") throw new IOException("the typist does not type");

        // These are times to type in: both sides must be heard.
        await Task.Delay(TimeSpan.FromMilliseconds(150), cancellation);
        await handOver();
        await Task.Delay(TimeSpan.FromMilliseconds(150), cancellation);
        var numbers = (await AskAsync("stop", cancellation)).Split(' ').Select(text => long.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        return numbers[0] > 0 ? new(numbers[0], numbers[1], (int)numbers[2]) : throw new IOException("the typist was heard on one side alone");
    }

    public ValueTask DisposeAsync()
    {
        _answers.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<string> AskAsync(string line, CancellationToken cancellation)
    {
        await _stream.WriteAsync(Encoding.ASCII.GetBytes(line + "\n"), cancellation);
        return await HearAsync(cancellation);
    }

    private async Task<string> HearAsync(CancellationToken cancellation)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        late.CancelAfter(Patience);
        return await _answers.ReadLineAsync(late.Token) ?? throw new IOException("the typist in the lab's host ended");
    }
}
