using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>
/// The service as the pipe shows it, played by the test: JSON lines as guest-agent/KvmSwitch.Agent/Windows/Pipe/PipeMessages.cs has them, written out here once
/// more so that the contract itself is tested. A small Windows program (tests/KvmSwitch.PipeBridge) serves the pipe and carries it here.
/// </summary>
internal sealed class FakeService : IAsyncDisposable
{
    public static readonly string Bridge = Path.GetFullPath(Path.Combine(SharedDemo.Inputs.Programs, "../tests/pipe-bridge/KvmSwitch.PipeBridge.exe"));
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _over = new();
    private readonly Channel<JsonNode> _requests = Channel.CreateUnbounded<JsonNode>();
    private readonly List<NetworkStream> _sessions = [];
    private readonly Lock _gate = new();
    private WineProgram? _bridge;

    private FakeService(JsonObject state) => State = state;

    /// <summary>What a session is told first. Change it with <see cref="TellAsync"/>.</summary>
    public JsonObject State { get; private set; }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static JsonObject Linked(params JsonObject[] devices) => new()
    {
        ["version"] = "0.1.0",
        ["link"] = "Connected",
        ["machine"] = "win",
        ["devices"] = new JsonArray([.. devices]),
        ["sets"] = new JsonArray(new JsonObject { ["name"] = "desk", ["devices"] = new JsonArray("keyboard", "trackball") }),
        ["hotkeys"] = new JsonArray(
            new JsonObject { ["chord"] = "ctrl+alt+h", ["verb"] = "Return", ["targets"] = new JsonArray(), ["conflict"] = false },
            new JsonObject { ["chord"] = "ctrl+alt+b", ["verb"] = "Request", ["targets"] = new JsonArray("bluray"), ["conflict"] = true }),
    };

    public static JsonObject CutOff(string link, string? trouble) => new()
    {
        ["version"] = "0.1.0",
        ["link"] = link,
        ["machine"] = "win",
        ["trouble"] = trouble,
        ["devices"] = new JsonArray(),
        ["sets"] = new JsonArray(),
        ["hotkeys"] = new JsonArray(),
    };

    public static JsonObject Device(string name, string label, bool here, bool mayRequest = true, bool moving = false) =>
        new() { ["name"] = name, ["label"] = label, ["here"] = here, ["mayRequest"] = mayRequest, ["moving"] = moving };

    public static async Task<FakeService> StartAsync(WineDesktop windows, JsonObject state)
    {
        var service = new FakeService(state);
        service._listener.Start();
        _ = service.AcceptAsync();
        service._bridge = windows.Start(Bridge, "pipe", "KvmSwitch.Agent", $"{((IPEndPoint)service._listener.LocalEndpoint).Port}");
        await service._bridge.WaitForOutputAsync(text => text.StartsWith("ready", StringComparison.Ordinal), "the pipe is served");
        return service;
    }

    /// <summary>The next request of a session, but no report of hotkeys.</summary>
    public async Task<JsonNode> NextRequestAsync()
    {
        while (true)
        {
            var request = await _requests.Reader.ReadAsync(Stop).AsTask().WaitAsync(WineDesktop.Patience, Stop);
            if (request["hotkeys"] is null) return request;
        }
    }

    /// <summary>Tells all sessions a new state.</summary>
    public Task TellAsync(JsonObject state)
    {
        State = state;
        return SayAsync(new() { ["state"] = state.DeepClone() });
    }

    public Task NoticeAsync(string kind, string? device, string? reason = null) =>
        SayAsync(new() { ["notice"] = new JsonObject { ["kind"] = kind, ["device"] = device, ["reason"] = reason } });

    public Task ReplyAsync(JsonNode request, string? error) =>
        SayAsync(new() { ["reply"] = new JsonObject { ["id"] = request["id"]!.GetValue<ulong>(), ["error"] = error } });

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        _listener.Stop();
        if (_bridge is not null) await _bridge.DisposeAsync();
        lock (_gate)
        {
            foreach (var session in _sessions) session.Dispose();
        }

        _over.Dispose();
    }

    private async Task SayAsync(JsonObject message)
    {
        NetworkStream[] sessions;
        lock (_gate) sessions = [.. _sessions];
        foreach (var session in sessions) await WriteAsync(session, message);
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var session = new NetworkStream(await _listener.AcceptSocketAsync(_over.Token), ownsSocket: true);
                await WriteAsync(session, new() { ["state"] = State.DeepClone() });
                lock (_gate) _sessions.Add(session);
                _ = ReadAsync(session);
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private async Task ReadAsync(NetworkStream session)
    {
        try
        {
            using var lines = new StreamReader(session);
            while (await lines.ReadLineAsync(_over.Token) is { } line) _requests.Writer.TryWrite(JsonNode.Parse(line)!);
        }
        catch (Exception over) when (over is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The session has left.
        }

        lock (_gate) _sessions.Remove(session);
    }

    private static async Task WriteAsync(NetworkStream session, JsonObject message) =>
        await session.WriteAsync(Encoding.UTF8.GetBytes(message.ToJsonString() + "\n"));
}
