using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;

namespace KvmSwitch.Linux;

/// <summary>Values into messages of sd-bus, and out of them.</summary>
internal static unsafe class SdBusCodec
{
    /// <exception cref="ArgumentException">D-Bus doesn't allow the value: no object path, a NUL in a text, an unknown type.</exception>
    public static void Append(nint message, BusValue value)
    {
        switch (value)
        {
            case BusValue.Flag flag:
                var bit = flag.Value ? 1 : 0;
                Allowed(SdBus.AppendBasic(message, (byte)'b', &bit), value);
                break;
            case BusValue.Whole whole:
                // Little-endian: the first bytes of a long are the smaller number.
                var number = whole.Value;
                Allowed(SdBus.AppendBasic(message, (byte)whole.Type, &number), value);
                break;
            case BusValue.Real real:
                var fraction = real.Value;
                Allowed(SdBus.AppendBasic(message, (byte)'d', &fraction), value);
                break;
            case BusValue.Text text:
                if (text.Value.Contains('\0', StringComparison.Ordinal)) throw Forbidden(value);
                fixed (byte* bytes = Encoding.UTF8.GetBytes(text.Value + '\0')) Allowed(SdBus.AppendBasic(message, (byte)text.Type, bytes), value);
                break;
            case BusValue.Sequence sequence:
                AppendContainer(message, 'a', sequence.ItemSignature, sequence.Items, value);
                break;
            case BusValue.Group group:
                AppendContainer(message, 'r', group.Inner, group.Items, value);
                break;
            case BusValue.Entry entry:
                AppendContainer(message, 'e', entry.Inner, [entry.Key, entry.Value], value);
                break;
            case BusValue.Variant variant:
                AppendContainer(message, 'v', variant.Value.Signature, [variant.Value], value);
                break;
            default:
                throw Forbidden(value);
        }
    }

    /// <summary>The values up to the end of the container or message. Ones of a type without a form here (descriptors) are left out.</summary>
    /// <exception cref="IOException">The message makes no sense.</exception>
    public static ImmutableArray<BusValue> ReadAll(nint message)
    {
        var values = ImmutableArray.CreateBuilder<BusValue>();
        while (Sound(SdBus.PeekType(message, out var type, out var contents)) > 0)
        {
            if (Read(message, (char)type, contents) is { } value) values.Add(value);
        }

        return values.ToImmutable();
    }

    private static BusValue? Read(nint message, char type, nint contents)
    {
        long bits = 0;
        switch (type)
        {
            case 'b' or 'y' or 'n' or 'q' or 'i' or 'u' or 'x' or 't':
                Sound(SdBus.ReadBasic(message, (byte)type, &bits));
                return type switch
                {
                    'b' => new BusValue.Flag((int)bits != 0),
                    'n' => new BusValue.Whole(type, (short)bits),
                    'i' => new BusValue.Whole(type, (int)bits),
                    _ => new BusValue.Whole(type, bits),
                };
            case 'd':
                Sound(SdBus.ReadBasic(message, (byte)type, &bits));
                return new BusValue.Real(BitConverter.Int64BitsToDouble(bits));
            case 's' or 'o' or 'g':
                nint text = 0;
                Sound(SdBus.ReadBasic(message, (byte)type, &text));
                return new BusValue.Text(Marshal.PtrToStringUTF8(text) ?? "", type);
            case 'a' or 'r' or 'e' or 'v':
                return ReadContainer(message, type, contents);
            default:
                Sound(SdBus.Skip(message, 0));
                return null;
        }
    }

    private static BusValue? ReadContainer(nint message, char type, nint contents)
    {
        var signature = Marshal.PtrToStringUTF8(contents) ?? "";
        Sound(SdBus.EnterContainer(message, (byte)type, contents));
        var items = ReadAll(message);
        Sound(SdBus.ExitContainer(message));
        return type switch
        {
            'a' => new BusValue.Sequence(signature, items),
            'r' => new BusValue.Group(items),
            'e' when items is [var key, var value] => new BusValue.Entry(key, value),
            'v' when items is [var inner] => new BusValue.Variant(inner),
            _ => null,
        };
    }

    private static void AppendContainer(nint message, char type, string contents, ImmutableArray<BusValue> items, BusValue value)
    {
        Allowed(SdBus.OpenContainer(message, (byte)type, contents), value);
        foreach (var item in items) Append(message, item);
        Allowed(SdBus.CloseContainer(message), value);
    }

    private static void Allowed(int result, BusValue value)
    {
        if (result < 0) throw Forbidden(value);
    }

    private static ArgumentException Forbidden(BusValue value) => new($"D-Bus allows no such value: {value}", nameof(value));

    private static int Sound(int result) => result >= 0 ? result : throw Libc.Error("a message of D-Bus can't be read", -result);
}
