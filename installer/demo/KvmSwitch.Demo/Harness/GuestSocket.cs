using System.Net.Sockets;
using System.Text;

namespace KvmSwitch.Demo.Harness;

/// <summary>A QEMU character device on a Unix socket, read line by line.</summary>
internal sealed class GuestSocket : IAsyncDisposable
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(20);
    private readonly Stream _stream;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _reading;
    private int _disposed;

    /// <param name="stream">Is owned by the new object.</param>
    public GuestSocket(Stream stream, Action<string> onLine, Action<string> onEnd)
    {
        _stream = stream;
        _reading = Task.Run(() => ReadAsync(onLine, onEnd));
    }

    /// <summary>Connects as soon as QEMU listens on <paramref name="path"/>.</summary>
    /// <exception cref="TimeoutException">Nothing listened there within <paramref name="deadline"/>.</exception>
    public static async Task<GuestSocket> ConnectAsync(
        string path, Action<string> onLine, Action<string> onEnd, TimeSpan deadline, TimeProvider time, CancellationToken cancellation)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
                return new GuestSocket(new NetworkStream(socket, ownsSocket: true), onLine, onEnd);
            }
            catch (SocketException reason)
            {
                socket.Dispose();
                if (time.GetElapsedTime(started) >= deadline)
                {
                    throw new TimeoutException($"Nothing listened on {path} within {deadline.TotalSeconds:0.###} s: {reason.Message}.", reason);
                }
            }

            // A listening socket can't be awaited from outside; the node may exist before QEMU listens.
            await Task.Delay(RetryAfter, time, cancellation);
        }
    }

    /// <exception cref="EndOfStreamException">QEMU has closed the port.</exception>
    public async Task WriteAsync(string text, CancellationToken cancellation)
    {
        try
        {
            await _stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancellation);
        }
        catch (IOException broken)
        {
            throw new EndOfStreamException("The guest's serial port was closed: QEMU ended.", broken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
        {
            return;
        }

        await _stop.CancelAsync();
        await _reading;
        await _stream.DisposeAsync();
        _stop.Dispose();
    }

    private async Task ReadAsync(Action<string> onLine, Action<string> onEnd)
    {
        using var reader = new StreamReader(_stream, Encoding.UTF8, leaveOpen: true);
        var reason = "The guest's serial port was closed: QEMU ended.";
        try
        {
            while (await reader.ReadLineAsync(_stop.Token) is { } line)
            {
                onLine(line);
            }
        }
        catch (OperationCanceledException)
        {
            reason = "The connection to the guest's serial port was closed on our side.";
        }
        catch (IOException broken)
        {
            reason = $"The connection to the guest's serial port broke: {broken.Message}.";
        }

        onEnd(reason);
    }
}
