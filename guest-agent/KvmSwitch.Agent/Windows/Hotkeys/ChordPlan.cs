namespace KvmSwitch.Agent.Windows.Hotkeys;

/// <summary>The modifiers of RegisterHotKey (learn.microsoft.com/windows/win32/api/winuser/nf-winuser-registerhotkey).</summary>
[Flags]
internal enum HotkeyModifiers : uint
{
    None = 0,
    Alt = 1,
    Control = 2,
    Shift = 4,
    Windows = 8,
}

/// <summary>One call of RegisterHotKey.</summary>
internal readonly record struct KeyCombination(HotkeyModifiers Modifiers, byte Key);

/// <summary>How Windows can watch a chord: which combinations are registered, and which keys then have to be down.</summary>
/// <param name="Combinations">Any of them completes the chord.</param>
/// <param name="Positions">The virtual keys that satisfy each position. RegisterHotKey can't tell left from right; this can.</param>
/// <param name="Impossible">Why Windows can't watch it, one clause; null when it can.</param>
internal sealed record ChordPlan(IReadOnlyList<KeyCombination> Combinations, IReadOnlyList<IReadOnlyList<byte>> Positions, string? Impossible)
{
    public static ChordPlan For(IReadOnlyList<IReadOnlyList<int>> keys)
    {
        var positions = keys.Select(codes => (IReadOnlyList<byte>)[.. codes.Select(VirtualKeys.Of).OfType<byte>().Distinct()]).ToArray();
        if (positions.Any(position => position.Count == 0))
            return No("Windows has no name for one of its keys");
        var plain = positions.Where(position => !position.All(IsModifier)).ToArray();
        if (plain.Length != 1)
            return No(plain.Length == 0 ? "Windows needs a key beside the modifiers" : "Windows takes only one key beside the modifiers");
        var modifiers = positions.Where(position => position.All(IsModifier))
            .Aggregate(HotkeyModifiers.None, (sum, position) => sum | ModifierOf(position[0]));
        var combinations = plain[0].Where(key => !IsModifier(key)).Select(key => new KeyCombination(modifiers, Held(key, modifiers)));
        return new([.. combinations], positions, null);
    }

    /// <summary>
    /// The chord was made with another side's modifier than the configured one. Keys that are up again by now tell nothing: whoever is quick is
    /// believed.
    /// </summary>
    public bool IsOtherSide(Func<byte, bool> isDown) => Positions.Where(position => position.All(IsModifier))
        .Any(position => !position.Any(isDown) && Modifiers.Any(key => ModifierOf(key) == ModifierOf(position[0]) && isDown(key)));

    private static readonly byte[] Modifiers =
    [
        VirtualKeys.LeftShift, VirtualKeys.RightShift, VirtualKeys.LeftControl, VirtualKeys.RightControl,
        VirtualKeys.LeftAlt, VirtualKeys.RightAlt, VirtualKeys.LeftWindows, VirtualKeys.RightWindows,
    ];

    private static ChordPlan No(string reason) => new([], [], reason);

    private static byte Held(byte key, HotkeyModifiers modifiers) =>
        key == VirtualKeys.Pause && modifiers.HasFlag(HotkeyModifiers.Control) ? VirtualKeys.Break : key;

    private static bool IsModifier(byte key) => ModifierOf(key) != HotkeyModifiers.None;

    private static HotkeyModifiers ModifierOf(byte key) => key switch
    {
        VirtualKeys.LeftShift or VirtualKeys.RightShift => HotkeyModifiers.Shift,
        VirtualKeys.LeftControl or VirtualKeys.RightControl => HotkeyModifiers.Control,
        VirtualKeys.LeftAlt or VirtualKeys.RightAlt => HotkeyModifiers.Alt,
        VirtualKeys.LeftWindows or VirtualKeys.RightWindows => HotkeyModifiers.Windows,
        _ => HotkeyModifiers.None,
    };
}
