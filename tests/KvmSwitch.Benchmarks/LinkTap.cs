using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace KvmSwitch.Benchmarks;

/// <summary>
/// Stands between the guest and the daemon and notes when the guest last said something. A guest at rest says nothing but heartbeats, so
/// that is the moment from which its lease counts.
/// </summary>
internal sealed class LinkTap : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _closing = new();
    private Task _serving = Task.CompletedTask;
    private long _lastWord;

    public LinkTap() => _listener.Start();

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>When the last bytes of a guest arrived; a <see cref="Stopwatch"/> timestamp.</summary>
    public long LastWord => Volatile.Read(ref _lastWord);

    /// <param name="port">Where the daemon listens.</param>
    public void ForwardTo(int port) => _serving = ServeAsync(port);

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        _listener.Dispose();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _closing.Dispose();
    }

    private async Task ServeAsync(int port)
    {
        while (true)
        {
            var guest = await _listener.AcceptTcpClientAsync(_closing.Token);
            _ = CarryAsync(guest, port);
        }
    }

    private async Task CarryAsync(TcpClient guest, int port)
    {
        using (guest)
        {
            using var daemon = new TcpClient { NoDelay = true };
            guest.NoDelay = true;
            try
            {
                await daemon.ConnectAsync(IPAddress.Loopback, port, _closing.Token);
                var there = PumpAsync(guest.GetStream(), daemon.GetStream(), () => Volatile.Write(ref _lastWord, Stopwatch.GetTimestamp()));
                var back = PumpAsync(daemon.GetStream(), guest.GetStream(), () => { });
                await await Task.WhenAny(there, back);
            }
            catch (Exception end) when (end is IOException or SocketException or OperationCanceledException)
            {
                // Either side hung up: both are closed, and the agent connects anew.
            }
        }
    }

    private async Task PumpAsync(NetworkStream from, NetworkStream to, Action passed)
    {
        var buffer = new byte[16 * 1024];
        while (await from.ReadAsync(buffer, _closing.Token) is > 0 and var count)
        {
            passed();
            await to.WriteAsync(buffer.AsMemory(0, count), _closing.Token);
        }
    }
}
