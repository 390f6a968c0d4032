using System.Buffers.Binary;
using System.Diagnostics;
using Grpc.Core;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>
/// One gRPC call on a connection of its own (RFC 9113 without an upgrade; gRPC over HTTP/2). A command makes one call and ends, so
/// there is one stream, and all of it happens on the caller's thread.
/// </summary>
internal sealed class Http2Call(UnixSocket socket, long? deadline) : IDisposable
{
    private const int Stream = 1;
    private const int Window = 65_535;
    private const int Cancelled = 8;

    // A daemon that is stopped or hangs answers no ping; without them a stream would wait for it for ever.
    private static readonly TimeSpan PingAfter = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(5);

    private readonly Wire _wire = new(socket);
    private readonly MessageBuffer _messages = new();
    private readonly MemoryStream _fields = new();
    private bool _begun;
    private bool _lastFields;
    private bool _ended;
    private int _unacknowledged;

    /// <param name="method">With its leading slash: <c>/kvmswitch.v1.Control/GetState</c>.</param>
    /// <param name="request">The message.</param>
    /// <exception cref="RpcException">The request is longer than a daemon takes at once.</exception>
    /// <exception cref="PeerGoneException">The peer hung up.</exception>
    public void Send(string method, ReadOnlySpan<byte> request)
    {
        var body = MessageBuffer.Wrap(request);
        if (body.Length > Window)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, $"the request is {body.Length} bytes long, and {Window} are allowed"));
        }

        using var frames = new MemoryStream();
        frames.Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8);

        // SETTINGS_HEADER_TABLE_SIZE (1) and SETTINGS_ENABLE_PUSH (2) are 0: nothing to remember, nothing unasked.
        Frame.Write(frames, FrameType.Settings, 0, 0, [0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        Frame.Write(frames, FrameType.Headers, Frame.EndHeaders, Stream, Head(method));
        for (var start = 0; start < body.Length; start += Frame.LargestPayload)
        {
            var part = body.AsSpan(start, Math.Min(Frame.LargestPayload, body.Length - start));
            Frame.Write(frames, FrameType.Data, start + part.Length == body.Length ? Frame.EndStream : (byte)0, Stream, part);
        }

        _wire.Send(frames);
    }

    /// <summary>Waits for the next message; null when the call ended well.</summary>
    /// <exception cref="RpcException">The daemon says that it failed, or the deadline is over.</exception>
    /// <exception cref="PeerGoneException">The peer hung up, or hangs.</exception>
    /// <exception cref="Http2ProtocolException">The peer is no gRPC server.</exception>
    public byte[]? Next()
    {
        while (true)
        {
            if (_messages.Take() is { } message)
            {
                return message;
            }

            if (_ended)
            {
                return _messages.IsEmpty ? null : throw new Http2ProtocolException("a message is cut off");
            }

            Take(NextFrame());
        }
    }

    public void Dispose()
    {
        _fields.Dispose();
        socket.Dispose();
    }

    private static byte[] Head(string method)
    {
        using var fields = new MemoryStream();
        FieldBlock.Write(fields, ":method", "POST");
        FieldBlock.Write(fields, ":scheme", "http");
        FieldBlock.Write(fields, ":path", method);
        FieldBlock.Write(fields, ":authority", "localhost");
        FieldBlock.Write(fields, "content-type", "application/grpc");
        FieldBlock.Write(fields, "te", "trailers");
        return fields.ToArray();
    }

    private Frame NextFrame()
    {
        if (deadline is { } end)
        {
            return _wire.Next(end) ?? throw new RpcException(new Status(StatusCode.DeadlineExceeded, ""));
        }

        if (_wire.Next(After(PingAfter)) is { } frame)
        {
            return frame;
        }

        Send(FrameType.Ping, 0, new byte[8]);
        return _wire.Next(After(PingTimeout)) ?? throw new PeerGoneException("the daemon answers no ping");
    }

    private static long After(TimeSpan time) => Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);

    private void Take(Frame frame)
    {
        if (!_begun && frame.Type != FrameType.Settings)
        {
            throw new Http2ProtocolException("no settings at the beginning");
        }

        _begun = true;
        switch (frame.Type)
        {
            case FrameType.Settings or FrameType.Ping when !frame.Has(Frame.Ack):
                Send(frame.Type, Frame.Ack, frame.Type == FrameType.Ping ? frame.Payload.Span : []);
                break;
            case FrameType.GoAway when Number(frame, at: 0) < Stream:
                throw new PeerGoneException("the daemon takes no more calls");
            case FrameType.Reset when frame.Stream == Stream:
                throw new PeerGoneException(Number(frame, at: 0) == Cancelled ? "the daemon gave the call up" : "the daemon broke the call off");
            case FrameType.Data when frame.Stream == Stream:
                TakeData(frame);
                break;
            case FrameType.Headers or FrameType.Continuation when frame.Stream == Stream:
                TakeFields(frame);
                break;
            default:
                break; // Acknowledgements, windows, and what later versions may add (RFC 9113, section 5.5).
        }
    }

    private static int Number(Frame frame, int at) => frame.Payload.Length >= at + sizeof(int)
        ? BinaryPrimitives.ReadInt32BigEndian(frame.Payload.Span[at..])
        : throw new Http2ProtocolException("a frame is cut off");

    private void TakeData(Frame frame)
    {
        _messages.Add(frame.Content().Span);
        if (frame.Has(Frame.EndStream))
        {
            throw new Http2ProtocolException("an answer without a status");
        }

        _unacknowledged += frame.Payload.Length;
        if (_unacknowledged > Window / 2)
        {
            Reopen();
        }
    }

    /// <summary>Lets the peer send as much again, on the stream and on the connection.</summary>
    private void Reopen()
    {
        var size = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(size, _unacknowledged);
        using var frames = new MemoryStream();
        Frame.Write(frames, FrameType.WindowUpdate, 0, 0, size);
        Frame.Write(frames, FrameType.WindowUpdate, 0, Stream, size);
        _wire.Send(frames);
        _unacknowledged = 0;
    }

    private void TakeFields(Frame frame)
    {
        _fields.Write((frame.Type == FrameType.Headers ? frame.Content() : frame.Payload).Span);
        _lastFields |= frame.Type == FrameType.Headers && frame.Has(Frame.EndStream);
        if (_fields.Length > Window)
        {
            throw new Http2ProtocolException("headers without end");
        }

        if (!frame.Has(Frame.EndHeaders))
        {
            return;
        }

        var fields = FieldBlock.Read(_fields.GetBuffer().AsSpan(0, (int)_fields.Length));
        _fields.SetLength(0);
        if (!_lastFields && fields.GetValueOrDefault(":status") == "200")
        {
            return;
        }

        _ended = true;
        if (Answer.Failure(fields) is { } failure)
        {
            throw failure;
        }
    }

    private void Send(FrameType type, byte flags, ReadOnlySpan<byte> payload)
    {
        using var frames = new MemoryStream();
        Frame.Write(frames, type, flags, 0, payload);
        _wire.Send(frames);
    }
}
