using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvmSwitch.Linux.Input;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>
/// The leds of the guest's keyboard, which QEMU tells nobody but its VNC clients: so this is one, which asks for the LED state
/// (docs/interop/vnc-ledstate-pseudo-encoding.rst in QEMU's source; RFC 6143 for the rest) and for nothing else. No picture is asked for, so
/// none is sent, and nothing is ever typed. The peer is not trusted.
/// </summary>
/// <param name="stream">Connected to a VNC server that has not said anything yet.</param>
internal sealed class QemuLeds(Stream stream, TimeProvider clock) : IAsyncDisposable
{
    /// <summary>For the whole handshake. A QEMU that is busy answers within milliseconds.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private const string Name = "kvmswitch-leds";

    // Beyond what a machine's name or a clipboard of QEMU's has (vnc.c allows 1 MiB to clients).
    private const uint LongestText = 1 << 20;
    private const byte NoSecurity = 1;
    private const byte FramebufferUpdate = 0;
    private const byte Bell = 2;
    private const byte ServerCutText = 3;
    private const int LedState = -261;
    private static readonly byte[] Version = "RFB 003.008\n"u8.ToArray();

    // A viewer beside others.
    private static readonly byte[] Shared = [1];

    // SetEncodings, padding, one encoding.
    private static readonly byte[] Encodings = [2, 0, 0, 1, 0xff, 0xff, 0xfe, 0xfb];
    private readonly byte[] _buffer = new byte[512];
    private int _start;
    private int _end;

    /// <returns>Null: this QEMU has no VNC server.</returns>
    /// <exception cref="InvalidDataException">It talks nonsense.</exception>
    /// <exception cref="TimeoutException">It doesn't talk.</exception>
    /// <exception cref="IOException">It hung up.</exception>
    /// <exception cref="QmpException">QEMU refused, or is gone.</exception>
    public static async Task<QemuLeds?> OpenAsync(QmpClient client, TimeProvider clock, CancellationToken cancellationToken)
    {
        if (await client.ConnectVncAsync(Name, cancellationToken) is not { } socket) return null;
        var leds = new QemuLeds(new NetworkStream(socket, ownsSocket: true), clock);
        try
        {
            await leds.ShakeHandsAsync(cancellationToken);
            return leds;
        }
        catch
        {
            await leds.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc cref="OpenAsync"/>
    public async Task ShakeHandsAsync(CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            await ShakeHandsInTimeAsync(either.Token);
        }
        catch (OperationCanceledException silence) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"QEMU's VNC server did not finish its handshake within {Patience.TotalSeconds:0} s", silence);
        }
    }

    /// <summary>Every state, beginning with the present one, until it is cancelled.</summary>
    /// <exception cref="InvalidDataException">The peer talks nonsense.</exception>
    /// <exception cref="IOException">It hung up.</exception>
    public async IAsyncEnumerable<LockLeds> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var type = (await ReadAsync(1, cancellationToken)).Span[0];
            switch (type)
            {
                case FramebufferUpdate:
                    for (var left = BinaryPrimitives.ReadUInt16BigEndian((await ReadAsync(3, cancellationToken)).Span[1..]); left > 0; left--)
                        yield return await ReadStateAsync(cancellationToken);
                    break;
                case Bell:
                    break;
                case ServerCutText:
                    await SkipTextAsync(BinaryPrimitives.ReadUInt32BigEndian((await ReadAsync(7, cancellationToken)).Span[3..]), cancellationToken);
                    break;
                default:
                    throw Nonsense($"a message of type {type}");
            }
        }
    }

    public ValueTask DisposeAsync() => stream.DisposeAsync();

    private static InvalidDataException Nonsense(string what) => new($"QEMU's VNC server sent {what}");

    private async Task ShakeHandsInTimeAsync(CancellationToken cancellationToken)
    {
        if (!(await ReadAsync(Version.Length, cancellationToken)).Span.SequenceEqual(Version)) throw Nonsense("no version 3.8 of RFB");
        await stream.WriteAsync(Version, cancellationToken);
        var types = (await ReadAsync(1, cancellationToken)).Span[0];
        if (!(await ReadAsync(types, cancellationToken)).Span.Contains(NoSecurity)) throw Nonsense("no way in without a password");
        await stream.WriteAsync(new[] { NoSecurity }, cancellationToken);
        if (BinaryPrimitives.ReadUInt32BigEndian((await ReadAsync(4, cancellationToken)).Span) != 0) throw Nonsense("a refusal");
        await stream.WriteAsync(Shared, cancellationToken);
        // Size and format of the picture, and the machine's name.
        await SkipTextAsync(BinaryPrimitives.ReadUInt32BigEndian((await ReadAsync(24, cancellationToken)).Span[20..]), cancellationToken);
        await stream.WriteAsync(Encodings, cancellationToken);
    }

    /// <summary>A rectangle: place, size and encoding, and one byte.</summary>
    private async Task<LockLeds> ReadStateAsync(CancellationToken cancellationToken)
    {
        var rectangle = await ReadAsync(13, cancellationToken);
        var encoding = BinaryPrimitives.ReadInt32BigEndian(rectangle.Span[8..]);
        if (encoding != LedState) throw Nonsense($"a rectangle of encoding {encoding}");
        var state = rectangle.Span[12];
        return ((state & 1) == 0 ? LockLeds.None : LockLeds.Scroll)
            | ((state & 2) == 0 ? LockLeds.None : LockLeds.Num)
            | ((state & 4) == 0 ? LockLeds.None : LockLeds.Caps);
    }

    private async Task SkipTextAsync(uint length, CancellationToken cancellationToken)
    {
        if (length > LongestText) throw Nonsense($"a text of {length} bytes");
        for (var left = (int)length; left > 0;)
        {
            var count = Math.Min(left, _buffer.Length);
            _ = await ReadAsync(count, cancellationToken);
            left -= count;
        }
    }

    /// <summary>So many bytes, at most the buffer's size; valid until the next reading.</summary>
    private async ValueTask<ReadOnlyMemory<byte>> ReadAsync(int count, CancellationToken cancellationToken)
    {
        if (_end - _start < count && _start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        while (_end - _start < count)
        {
            var came = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
            _end += came > 0 ? came : throw new EndOfStreamException("QEMU's VNC server hung up");
        }

        _start += count;
        return _buffer.AsMemory(_start - count, count);
    }
}
