using System.Collections.Immutable;

namespace KvmSwitch.Linux;

/// <summary>A value of D-Bus's type system. Only the types that something here speaks: a further one is a case here and two in <see cref="BusCodec"/>.</summary>
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

    public sealed record Whole(uint Value) : BusValue
    {
        public override string Signature => "u";
    }

    public sealed record Text(string Value) : BusValue
    {
        public override string Signature => "s";
    }

    public sealed record Sequence(string ItemSignature, ImmutableArray<BusValue> Items) : BusValue
    {
        public override string Signature => $"a{ItemSignature}";
    }

    /// <summary>Of a dictionary, which is a sequence of them.</summary>
    public sealed record Entry(BusValue Key, BusValue Value) : BusValue
    {
        public override string Signature => $"{{{Key.Signature}{Value.Signature}}}";
    }

    public sealed record Variant(BusValue Value) : BusValue
    {
        public override string Signature => "v";
    }
}
