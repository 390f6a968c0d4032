using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace KvmSwitch.Linux.Input;

/// <summary>struct input_absinfo of linux/input.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct AbsoluteAxis(int Value, int Minimum, int Maximum, int Fuzz, int Flat, int Resolution);

/// <summary>What an input device can send and be told. Equal when a clone of one can stand for the other.</summary>
public sealed class InputCapabilities : IEquatable<InputCapabilities>
{
    private static readonly ImmutableArray<ushort> Cloned =
        [EventType.Key, EventType.Relative, EventType.Absolute, EventType.Miscellaneous, EventType.Switch, EventType.Led];

    /// <summary>Codes by type of event, ascending.</summary>
    public ImmutableSortedDictionary<ushort, ImmutableArray<ushort>> Codes { get; init; } = ImmutableSortedDictionary<ushort, ImmutableArray<ushort>>.Empty;

    /// <summary>Ranges of the absolute axes by code.</summary>
    public ImmutableSortedDictionary<ushort, AbsoluteAxis> Axes { get; init; } = ImmutableSortedDictionary<ushort, AbsoluteAxis>.Empty;

    /// <summary>INPUT_PROP_*: what kind of pointer it is.</summary>
    public ImmutableArray<ushort> Properties { get; init; } = [];

    /// <summary>The codes of one type; empty where it has none.</summary>
    public ImmutableArray<ushort> Of(ushort type) => Codes.GetValueOrDefault(type, []);

    /// <summary>
    /// What a clone declares: the same, without Scroll Lock, so that QEMU's own toggle on that key can never fire, and without
    /// what we don't relay (sounds, force feedback).
    /// </summary>
    public InputCapabilities ForClone() => new()
    {
        Codes = Codes
            .Where(pair => Cloned.Contains(pair.Key))
            .Select(pair => KeyValuePair.Create(pair.Key, pair.Key == EventType.Key ? pair.Value.Remove(EventCode.KeyScrollLock) : pair.Value))
            .Where(pair => !pair.Value.IsEmpty)
            .ToImmutableSortedDictionary(),
        Axes = Axes,
        Properties = Properties,
    };

    public bool Equals(InputCapabilities? other) =>
        other is not null
        && Properties.SequenceEqual(other.Properties)
        && Codes.Keys.SequenceEqual(other.Codes.Keys)
        && Codes.All(pair => pair.Value.SequenceEqual(other.Of(pair.Key)))
        && Axes.Select(Range).SequenceEqual(other.Axes.Select(Range));

    public override bool Equals(object? obj) => Equals(obj as InputCapabilities);

    public override int GetHashCode() => HashCode.Combine(Of(EventType.Key).Length, Of(EventType.Relative).Length, Axes.Count);

    // Where an axis stands now is no capability.
    private static KeyValuePair<ushort, AbsoluteAxis> Range(KeyValuePair<ushort, AbsoluteAxis> axis) =>
        KeyValuePair.Create(axis.Key, axis.Value with { Value = 0 });
}
