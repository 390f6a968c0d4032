using System.Text;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>
/// Header fields (HPACK, RFC 7541) as far as a daemon and its own command line need them: we allow no dynamic table, and know of the
/// static one only what a gRPC answer is decided by. The daemon's server (Kestrel) compresses no text; one that does is not ours.
/// </summary>
internal static class FieldBlock
{
    private const int StatusFirst = 8;
    private const int StaticEntries = 61;
    private static readonly string[] Statuses = ["200", "204", "206", "304", "400", "404", "500"];

    /// <summary>Appends a field that no table remembers.</summary>
    public static void Write(Stream to, string name, string value)
    {
        to.WriteByte(0);
        WriteText(to, name);
        WriteText(to, value);
    }

    /// <summary>The fields by name, the first of each; fields whose names only the static table knows are left out, but for <c>:status</c>.</summary>
    /// <exception cref="Http2ProtocolException">Cut off, or compressed in a way that we did not allow.</exception>
    public static Dictionary<string, string> Read(ReadOnlySpan<byte> block)
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        var rest = new Reader(block);
        while (!rest.AtEnd)
        {
            if (ReadField(ref rest) is { Name.Length: > 0 } field)
            {
                fields.TryAdd(field.Name, field.Value);
            }
        }

        return fields;
    }

    private static void WriteText(Stream to, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length < 127)
        {
            to.WriteByte((byte)bytes.Length);
        }
        else
        {
            to.WriteByte(127);
            var rest = bytes.Length - 127;
            for (; rest >= 128; rest >>= 7)
            {
                to.WriteByte((byte)(rest | 128));
            }

            to.WriteByte((byte)rest);
        }

        to.Write(bytes);
    }

    /// <summary>RFC 7541, section 6: what the first bits of a field say.</summary>
    private static (string Name, string Value) ReadField(ref Reader rest)
    {
        switch (rest.Peek())
        {
            case >= 0x80:
                return Indexed(rest.Number(7));
            case >= 0x40:
                return Literal(ref rest, rest.Number(6));
            case >= 0x20:
                rest.Number(5);
                return default;
            default:
                return Literal(ref rest, rest.Number(4));
        }
    }

    private static (string Name, string Value) Indexed(int index) => index switch
    {
        0 or > StaticEntries => throw new Http2ProtocolException("a header of a table that does not exist"),
        >= StatusFirst when index - StatusFirst < Statuses.Length => (":status", Statuses[index - StatusFirst]),
        _ => default,
    };

    private static (string Name, string Value) Literal(ref Reader rest, int index)
    {
        var name = index == 0 ? rest.Text() : Indexed(index).Name;
        return (name, rest.Text());
    }

    private ref struct Reader(ReadOnlySpan<byte> block)
    {
        private ReadOnlySpan<byte> _rest = block;

        public readonly bool AtEnd => _rest.IsEmpty;

        public readonly byte Peek() => AtEnd ? throw CutOff() : _rest[0];

        /// <summary>A number whose first part is the last <paramref name="bits"/> bits of the next byte (section 5.1).</summary>
        public int Number(int bits)
        {
            var most = (1 << bits) - 1;
            var number = Take() & most;
            if (number < most)
            {
                return number;
            }

            for (var shift = 0; shift <= 14; shift += 7)
            {
                var part = Take();
                number += (part & 127) << shift;
                if (part < 128)
                {
                    return number;
                }
            }

            throw new Http2ProtocolException("a header's number is too large");
        }

        public string Text()
        {
            var huffman = Peek() >= 0x80;
            var length = Number(7);
            if (huffman)
            {
                throw new Http2ProtocolException("a header with compressed text");
            }

            if (length > _rest.Length)
            {
                throw CutOff();
            }

            var text = Encoding.UTF8.GetString(_rest[..length]);
            _rest = _rest[length..];
            return text;
        }

        private byte Take()
        {
            var value = Peek();
            _rest = _rest[1..];
            return value;
        }

        private static Http2ProtocolException CutOff() => new("a header is cut off");
    }
}
