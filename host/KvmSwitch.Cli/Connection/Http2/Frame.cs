using System.Buffers.Binary;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>Types of RFC 9113, section 6; what we never meet has no name.</summary>
internal enum FrameType : byte
{
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

/// <summary>One frame as it arrived; <paramref name="Payload"/> is valid until the next one is read.</summary>
internal readonly record struct Frame(FrameType Type, byte Flags, int Stream, ReadOnlyMemory<byte> Payload)
{
    /// <summary>Length of a frame's head, bytes.</summary>
    public const int HeadLength = 9;

    /// <summary>Longest payload that may be sent to somebody who has not allowed more, bytes.</summary>
    public const int LargestPayload = 16_384;

    public const byte Ack = 0x1;
    public const byte EndStream = 0x1;
    public const byte EndHeaders = 0x4;
    private const byte Padded = 0x8;
    private const byte Priority = 0x20;

    public bool Has(byte flag) => (Flags & flag) != 0;

    /// <summary>What a DATA or HEADERS frame carries, without padding and priority.</summary>
    /// <exception cref="Http2ProtocolException">The padding is longer than the frame.</exception>
    public ReadOnlyMemory<byte> Content()
    {
        var start = (Has(Padded) ? 1 : 0) + (Type == FrameType.Headers && Has(Priority) ? 5 : 0);
        var padding = Has(Padded) && Payload.Length > 0 ? Payload.Span[0] : 0;
        return start + padding <= Payload.Length
            ? Payload[start..^padding]
            : throw new Http2ProtocolException("a frame is shorter than its padding");
    }

    public static void Write(Stream to, FrameType type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        Span<byte> head = stackalloc byte[HeadLength];
        BinaryPrimitives.WriteInt32BigEndian(head, payload.Length << 8);
        head[3] = (byte)type;
        head[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(head[5..], stream);
        to.Write(head);
        to.Write(payload);
    }
}
