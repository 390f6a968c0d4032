using System.Collections.Immutable;

namespace KvmSwitch.Linux;

/// <summary>A value of D-Bus's type system. Descriptors are left out until something needs them.</summary>
public abstract record BusValue
{
    private BusValue()
    {
    }

    /// <summary>Of one complete type, as the specification writes it.</summary>
    public abstract string Signature { get; }

    /// <summary>An empty <c>a{sv}</c>, or the options given, as many interfaces take them.</summary>
    public static BusValue Options(params ReadOnlySpan<(string Name, BusValue Value)> options)
    {
        var items = ImmutableArray.CreateBuilder<BusValue>(options.Length);
        foreach (var (name, value) in options) items.Add(new Entry(new Text(name), new Variant(value)));
        return new Sequence("{sv}", items.MoveToImmutable());
    }

    public sealed record Flag(bool Value) : BusValue
    {
        public override string Signature => "b";
    }

    /// <param name="Type">One of y n q i u x t.</param>
    /// <param name="Value">The bits of a <c>t</c> beyond the range of a long are kept.</param>
    public sealed record Whole(char Type, long Value) : BusValue
    {
        public override string Signature => $"{Type}";
    }

    public sealed record Real(double Value) : BusValue
    {
        public override string Signature => "d";
    }

    /// <param name="Type">s, or o for an object path, or g for a signature.</param>
    public sealed record Text(string Value, char Type = 's') : BusValue
    {
        public override string Signature => $"{Type}";
    }

    public sealed record Sequence(string ItemSignature, ImmutableArray<BusValue> Items) : BusValue
    {
        public override string Signature => $"a{ItemSignature}";
    }

    /// <summary>A struct.</summary>
    public sealed record Group(ImmutableArray<BusValue> Items) : BusValue
    {
        public override string Signature => $"({Inner})";

        internal string Inner => string.Concat(Items.Select(item => item.Signature));
    }

    /// <summary>Of a dictionary, which is a sequence of them.</summary>
    public sealed record Entry(BusValue Key, BusValue Value) : BusValue
    {
        public override string Signature => $"{{{Inner}}}";

        internal string Inner => Key.Signature + Value.Signature;
    }

    public sealed record Variant(BusValue Value) : BusValue
    {
        public override string Signature => "v";
    }
}
