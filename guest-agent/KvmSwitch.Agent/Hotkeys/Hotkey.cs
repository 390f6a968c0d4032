using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Hotkeys;

/// <summary>Keys held together, and what the host shall do then.</summary>
/// <param name="Keys">Positions of the chord; each lists the evdev key codes (linux/input-event-codes.h) that satisfy it.</param>
/// <param name="Action">Sent to the host as it came from there.</param>
/// <param name="Chord">As the configuration spells it, for people.</param>
internal sealed record Hotkey(IReadOnlyList<IReadOnlyList<ushort>> Keys, GuestAction Action, string Chord)
{
    /// <summary>The hotkeys of a pushed configuration. One without keys, or with a code that no key can have, is left out.</summary>
    public static IReadOnlyList<Hotkey> Read(HotkeyConfiguration configuration) =>
        [.. configuration.Hotkeys.Where(IsUsable).Select(hotkey => new Hotkey(
            [.. hotkey.Keys.Select(key => (IReadOnlyList<ushort>)[.. key.Codes.Select(code => (ushort)code)])],
            hotkey.Action,
            hotkey.Chord))];

    /// <summary>Some position takes this code.</summary>
    public bool Contains(ushort code) => Keys.Any(position => position.Contains(code));

    /// <summary>Every position is satisfied, each by a key of its own.</summary>
    public bool IsHeldBy(IReadOnlySet<ushort> held) =>
        Keys.All(position => position.Any(held.Contains)) && held.Count(Contains) >= Keys.Count;

    private static bool IsUsable(HotkeyConfiguration.Types.Hotkey hotkey) =>
        hotkey.Action is not null
        && hotkey.Keys.Count > 0
        && hotkey.Keys.All(key => key.Codes.Count > 0 && key.Codes.All(code => code is > 0 and <= 0x2ff));
}

/// <summary>What a key did.</summary>
internal enum KeyMove
{
    Up,
    Down,

    /// <summary>The device left or lost events: whatever it held counts as released, and no chord is completed by that.</summary>
    Lost,
}

/// <summary>One key event of one input device.</summary>
/// <param name="Source">Names the input node that it came from.</param>
/// <param name="Device">Key of the USB device, or the node's name where it is no USB device.</param>
/// <param name="Code">evdev key code; 0 with <see cref="KeyMove.Lost"/>.</param>
internal readonly record struct KeyEvent(string Source, string Device, ushort Code, KeyMove Move);
