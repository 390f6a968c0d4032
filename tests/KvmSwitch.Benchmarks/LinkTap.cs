using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace KvmSwitch.Benchmarks;

/// <summary>
/// Stands between the guest and the daemon and notes when the guest's last heartbeat passed: the first bytes after a silence, since a guest
/// at rest says nothing else.
/// </summary>
internal sealed class LinkTap : IAsyncDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(300);
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _closing = new();
    private Task _serving = Task.CompletedTask;
    private long _lastWord;
    private long _heartbeat;

    public LinkTap() => _listener.Start();

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>When the last heartbeat passed; a <see cref="Stopwatch"/> timestamp.</summary>
    public long LastHeartbeat => Volatile.Read(ref _heartbeat);

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
                var there = PumpAsync(guest.GetStream(), daemon.GetStream(), Note);
                var back = PumpAsync(daemon.GetStream(), guest.GetStream(), () => { });
                await await Task.WhenAny(there, back);
            }
            catch (Exception end) when (end is IOException or SocketException or OperationCanceledException)
            {
                // Either side hung up: both are closed, and the agent connects anew.
            }
        }
    }

    private void Note()
    {
        var now = Stopwatch.GetTimestamp();
        if (Stopwatch.GetElapsedTime(Interlocked.Exchange(ref _lastWord, now), now) > Silence) Volatile.Write(ref _heartbeat, now);
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
