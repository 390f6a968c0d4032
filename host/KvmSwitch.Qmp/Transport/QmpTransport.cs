using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace KvmSwitch.Qmp.Transport;

/// <summary>Lines and descriptors over a Unix socket. Knows nothing of what the lines say.</summary>
internal sealed class QmpTransport : IDisposable
{
    // sun_path has 108 bytes with its closing zero, unix(7).
    private const int MaxPathBytes = 107;
    private static readonly byte[] _space = " "u8.ToArray();

    private readonly Socket _socket;
    private readonly LineReader _lines;

    private QmpTransport(Socket socket, int maxLineBytes)
    {
        _socket = socket;
        _lines = new LineReader(new NetworkStream(socket, ownsSocket: false), maxLineBytes);
        PeerProcessId = ReadPeerProcessId(socket);
    }

    /// <summary>The process that made the listening socket (SO_PEERCRED, unix(7)).</summary>
    internal int PeerProcessId { get; }

    /// <exception cref="QmpConnectException">Nothing listens there, or we may not talk to it.</exception>
    internal static async Task<QmpTransport> ConnectAsync(string path, int maxLineBytes, CancellationToken cancellationToken)
    {
        var length = Encoding.UTF8.GetByteCount(path);
        if (length > MaxPathBytes)
        {
            throw new QmpConnectException(
                path, $"The QMP socket's path has {length} bytes, but Linux allows at most {MaxPathBytes}: choose a shorter one than '{path}'.");
        }

        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new QmpTransport(socket, maxLineBytes);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new QmpConnectException(path, Explain(path, e), e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    internal ValueTask<ReadOnlyMemory<byte>?> ReadLineAsync(CancellationToken cancellationToken) => _lines.ReadLineAsync(cancellationToken);

    /// <summary>Writes all bytes; a descriptor goes with the first one. If this is cancelled, the peer may have half of them.</summary>
    internal async Task WriteAsync(ReadOnlyMemory<byte> bytes, SafeHandle? descriptor, CancellationToken cancellationToken)
    {
        if (descriptor is not null)
        {
            bytes = bytes[await SendDescriptorAsync(bytes, descriptor, cancellationToken)..];
        }

        while (!bytes.IsEmpty)
        {
            bytes = bytes[await _socket.SendAsync(bytes, cancellationToken)..];
        }
    }

    public void Dispose() => _socket.Dispose();

    private async Task<int> SendDescriptorAsync(ReadOnlyMemory<byte> bytes, SafeHandle descriptor, CancellationToken cancellationToken)
    {
        while (true)
        {
            var sent = DescriptorMessage.TrySend(_socket.SafeHandle, bytes.Span, (int)descriptor.DangerousGetHandle());
            if (sent > 0)
            {
                return sent;
            }

            // .NET has no "await writable": sending a space between two commands, which JSON ignores, waits for just that.
            await _socket.SendAsync(_space, cancellationToken);
        }
    }

    private static int ReadPeerProcessId(Socket socket)
    {
        const int SolSocket = 1;
        const int SoPeerCred = 17;
        Span<byte> credentials = stackalloc byte[12];
        socket.GetRawSocketOption(SolSocket, SoPeerCred, credentials);
        return BitConverter.IsLittleEndian
            ? BinaryPrimitives.ReadInt32LittleEndian(credentials)
            : BinaryPrimitives.ReadInt32BigEndian(credentials);
    }

    private static string Explain(string path, SocketException e) => e.SocketErrorCode switch
    {
        SocketError.AddressNotAvailable => $"There is no QMP socket at '{path}': is QEMU running?",
        SocketError.ConnectionRefused => $"Nothing listens on the QMP socket '{path}': QEMU has probably ended.",
        SocketError.AccessDenied => $"No permission to open the QMP socket '{path}': this user needs write access to it.",
        SocketError.WouldBlock or SocketError.TryAgain =>
            $"The QMP socket '{path}' is busy: another program is probably connected to it. QEMU serves one at a time.",
        _ => $"The QMP socket '{path}' can't be opened: {e.Message}.",
    };
}
