using System.Collections.Immutable;
using System.Text;
using Tmds.DBus.Protocol;

namespace KvmSwitch.Linux;

/// <summary>Values into messages, and out of them (dbus.freedesktop.org/doc/dbus-specification.html#message-protocol-marshaling).</summary>
internal static class BusCodec
{
    // The specification's limit for what lies within another.
    private const int Deepest = 64;

    public static void Write(ref MessageWriter writer, BusValue value)
    {
        switch (value)
        {
            case BusValue.Flag flag:
                writer.WriteBool(flag.Value);
                break;
            case BusValue.Whole whole:
                writer.WriteUInt32(whole.Value);
                break;
            case BusValue.Text text:
                writer.WriteString(text.Value);
                break;
            case BusValue.Sequence sequence:
                var start = writer.WriteArrayStart((DBusType)sequence.ItemSignature[0]);
                foreach (var item in sequence.Items) Write(ref writer, item);
                writer.WriteArrayEnd(start);
                break;
            case BusValue.Entry entry:
                writer.WriteDictionaryEntryStart();
                Write(ref writer, entry.Key);
                Write(ref writer, entry.Value);
                break;
            case BusValue.Variant variant:
                writer.WriteSignature(variant.Value.Signature);
                Write(ref writer, variant.Value);
                break;
        }
    }

    /// <exception cref="InvalidDataException">The message makes no sense, or has a type without a form here.</exception>
    public static ImmutableArray<BusValue> ReadBody(Message message)
    {
        if (!message.SignatureIsSet) return [];
        var reader = message.GetBodyReader();
        var values = ImmutableArray.CreateBuilder<BusValue>();
        for (var types = message.SignatureAsString.AsSpan(); !types.IsEmpty;) values.Add(Read(ref reader, ref types, 0));
        return values.ToImmutable();
    }

    /// <param name="types">Signature, of which the first complete type is read and taken away.</param>
    private static BusValue Read(ref Reader reader, ref ReadOnlySpan<char> types, int depth)
    {
        if (depth > Deepest) throw new InvalidDataException("it is nested too deeply");
        switch (Take(ref types))
        {
            case 'b':
                return new BusValue.Flag(reader.ReadBool());
            case 'u':
                return new BusValue.Whole(reader.ReadUInt32());
            case 's':
                return new BusValue.Text(reader.ReadString());
            case 'a':
                return ReadSequence(ref reader, ref types, depth + 1);
            case '{':
                reader.AlignStruct();
                var entry = new BusValue.Entry(Read(ref reader, ref types, depth + 1), Read(ref reader, ref types, depth + 1));
                Take(ref types);
                return entry;
            case 'v':
                ReadOnlySpan<char> inner = Encoding.ASCII.GetString(reader.ReadSignatureAsSpan());
                return new BusValue.Variant(Read(ref reader, ref inner, depth + 1));
            case var unknown:
                throw new InvalidDataException($"it holds a value of type '{unknown}', for which there is no use");
        }
    }

    private static BusValue.Sequence ReadSequence(ref Reader reader, ref ReadOnlySpan<char> types, int depth)
    {
        var item = types[..LengthOfFirst(types)];
        types = types[item.Length..];
        var items = ImmutableArray.CreateBuilder<BusValue>();
        var end = reader.ReadArrayStart((DBusType)item[0]);
        while (reader.HasNext(end))
        {
            var itemTypes = item;
            items.Add(Read(ref reader, ref itemTypes, depth));
        }

        return new(item.ToString(), items.ToImmutable());
    }

    /// <summary>Of the first complete type: arrays run into what they hold, and a dictionary's entry ends with its brace.</summary>
    private static int LengthOfFirst(ReadOnlySpan<char> types)
    {
        var open = 0;
        for (var i = 0; i < types.Length; i++)
        {
            if (types[i] is '{' or '(') open++;
            if (types[i] is '}' or ')') open--;
            if (open == 0 && types[i] != 'a') return i + 1;
        }

        throw new InvalidDataException("its signature makes no sense");
    }

    private static char Take(ref ReadOnlySpan<char> types)
    {
        if (types.IsEmpty) throw new InvalidDataException("its signature makes no sense");
        var first = types[0];
        types = types[1..];
        return first;
    }
}
