using System.Buffers.Binary;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>Cuts the bytes of a call into gRPC messages: a flag, a length of four bytes, and the message.</summary>
internal sealed class MessageBuffer
{
    private const int HeadLength = 5;

    /// <summary>Far above the longest history, bytes.</summary>
    private const int Largest = 64 << 20;

    private byte[] _bytes = new byte[4096];
    private int _length;

    public bool IsEmpty => _length == 0;

    /// <summary>The message as it goes on the wire.</summary>
    public static byte[] Wrap(ReadOnlySpan<byte> message)
    {
        var bytes = new byte[HeadLength + message.Length];
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(1), message.Length);
        message.CopyTo(bytes.AsSpan(HeadLength));
        return bytes;
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _length + bytes.Length));
        }

        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }

    /// <summary>The next whole message; null while there is none.</summary>
    /// <exception cref="Http2ProtocolException">Compressed, which we did not offer, or absurdly long.</exception>
    public byte[]? Take()
    {
        var all = _bytes.AsSpan(0, _length);
        if (all.Length < HeadLength)
        {
            return null;
        }

        var length = BinaryPrimitives.ReadUInt32BigEndian(all[1..]);
        if (all[0] != 0 || length > Largest)
        {
            throw new Http2ProtocolException($"a message of kind {all[0]} with {length} bytes");
        }

        var whole = HeadLength + (int)length;
        if (all.Length < whole)
        {
            return null;
        }

        var message = all[HeadLength..whole].ToArray();
        all[whole..].CopyTo(all);
        _length -= whole;
        return message;
    }
}
