using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Session;

namespace KvmSwitch.Tests.Agent.Windows;

/// <summary>The service's end of a session's pipe, over a pair of sockets.</summary>
internal sealed class FakePipe : IDisposable
{
    private readonly NetworkStream stream;
    private readonly LineReader lines;

    private FakePipe(Socket service, Socket session)
    {
        stream = new(service, ownsSocket: true);
        lines = new(stream, PipeContract.LongestToService);
        Session = new(new NetworkStream(session, ownsSocket: true));
    }

    /// <summary>What the code under test gets.</summary>
    public ServiceConnection Session { get; }

    public static async Task<FakePipe> CreateAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var session = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await session.ConnectAsync(listener.LocalEndpoint);
        return new(await listener.AcceptSocketAsync(), session);
    }

    public Task SayAsync(FromService message) => SayAsync(JsonSerializer.Serialize(message, PipeJson.Default.FromService));

    public async Task SayAsync(string line) => await stream.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"));

    public async Task<ToService?> HearAsync(CancellationToken cancellationToken) =>
        await lines.ReadAsync(cancellationToken) is { } line ? JsonSerializer.Deserialize(line.Span, PipeJson.Default.ToService) : null;

    public void Dispose() => stream.Dispose();
}
