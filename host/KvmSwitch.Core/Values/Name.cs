using System.Diagnostics.CodeAnalysis;

namespace KvmSwitch.Core;

/// <summary>The one rule for names that users choose: they appear in QEMU ids, file names, certificates and command lines.</summary>
internal static class Name
{
    public const int MaxLength = 32;

    public const string Rule = "a name is 1 to 32 lower-case letters, digits and '-', and starts with a letter";

    public static bool IsValid([NotNullWhen(true)] string? text) =>
        text is { Length: > 0 and <= MaxLength } &&
        char.IsAsciiLetterLower(text[0]) &&
        text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    public static string Check(string text, string what) =>
        IsValid(text) ? text : throw new FormatException($"'{text}' is no name for a {what}: {Rule}");
}

/// <summary>The name of a switchable device.</summary>
public readonly record struct DeviceId
{
    private DeviceId(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="FormatException">Not a name.</exception>
    public static DeviceId Parse(string text) => new(Name.Check(text, "device"));

    public override string ToString() => Value;
}

/// <summary>The name of a machine (a VM). <c>host</c> is never one.</summary>
public readonly record struct MachineId
{
    private MachineId(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="FormatException">Not a name, or the reserved word <c>host</c>.</exception>
    public static MachineId Parse(string text) => Name.Check(text, "machine") == Owner.HostName
        ? throw new FormatException("'host' can't be the name of a machine: it means this computer")
        : new(text);

    public override string ToString() => Value;
}

/// <summary>The name of a set: devices that move together.</summary>
public readonly record struct SetId
{
    private SetId(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="FormatException">Not a name.</exception>
    public static SetId Parse(string text) => new(Name.Check(text, "set"));

    public override string ToString() => Value;
}
