using System.Collections.Concurrent;
using KvmSwitch.Agent;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Agent.Link;

namespace KvmSwitch.Tests.Agent;

/// <summary>The agent's core on made edges.</summary>
internal sealed class RunningAgent : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly Task running;

    public RunningAgent(IdentityStore store, TimeProvider? time = null, DeviceFeed? devices = null, IEjector? ejector = null, ILinkListener? listener = null)
    {
        Devices = devices ?? new();
        var edges = new LinkEdges(Devices, Chords, Power, Journal, time ?? TimeProvider.System) { Ejector = ejector, Listener = listener };
        var loop = new LinkLoop(store, edges, "1.2.3", "Test OS");
        Dialogue = loop.Dialogue;
        running = loop.RunAsync(stop.Token);
    }

    public HostDialogue Dialogue { get; }

    public DeviceFeed Devices { get; }

    public ChordWatch Chords { get; } = new();

    public Lines Journal { get; } = new();

    public SwitchedOff Power { get; } = new();

    /// <summary>Tells it to stop and waits for that.</summary>
    public async Task StopAsync()
    {
        await stop.CancelAsync();
        await running.WaitAsync(TimeSpan.FromSeconds(20));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        stop.Dispose();
    }

    internal sealed class SwitchedOff : IPower
    {
        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string ShutDown()
        {
            Asked.TrySetResult();
            return "test";
        }
    }
}

/// <summary>A journal that a test can wait on.</summary>
internal sealed class Lines : IJournal
{
    private readonly ConcurrentQueue<string> all = new();
    private volatile TaskCompletionSource more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public IReadOnlyCollection<string> All => all;

    public void Write(string line)
    {
        all.Enqueue(line);
        Interlocked.Exchange(ref more, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    public async Task<string> ExpectAsync(string part)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (true)
        {
            var next = more.Task;
            if (all.FirstOrDefault(line => line.Contains(part, StringComparison.Ordinal)) is { } found)
                return found;
            await next.WaitAsync(deadline.Token);
        }
    }
}

/// <summary>A directory of its own that is deleted at the end.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("kvmswitch-agent-").FullName;

    public string At(params string[] parts) => System.IO.Path.Combine([Path, .. parts]);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
