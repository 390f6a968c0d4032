namespace KvmSwitch.Agent.Hotkeys;

/// <summary>
/// Finds chords in key events. A gesture lasts from the first key down until all keys of all devices are up. A hotkey fires at
/// the end of a gesture, so that no key sticks on the side that loses the keyboard, when its chord was complete at some moment
/// and nothing but its keys was pressed.
/// </summary>
internal sealed class ChordRecognizer(IReadOnlyList<Hotkey> hotkeys)
{
    // Mouse and pad buttons (BTN_MISC to the last BTN_TOOL) don't take part unless a chord names them: some rest "pressed" for ever.
    private const ushort FirstButton = 0x100;
    private const ushort LastButton = 0x15f;

    private readonly HashSet<(string Source, ushort Code)> held = [];
    private readonly HashSet<ushort> pressed = [];
    private readonly HashSet<int> complete = [];
    private bool spoiled;

    /// <summary>Takes one event; returns the hotkey that it completes, if any.</summary>
    public Hotkey? Take(KeyEvent key)
    {
        switch (key.Move)
        {
            case KeyMove.Down when Matters(key.Code):
                Press(key);
                return null;
            case KeyMove.Up when held.Remove((key.Source, key.Code)):
                return held.Count == 0 ? EndGesture() : null;
            case KeyMove.Lost when held.RemoveWhere(one => one.Source == key.Source) > 0:
                spoiled = true;
                return held.Count == 0 ? EndGesture() : null;
            default:
                return null;
        }
    }

    private bool Matters(ushort code) => code is < FirstButton or > LastButton || hotkeys.Any(hotkey => hotkey.Contains(code));

    private void Press(KeyEvent key)
    {
        // A repeat: the key is down already.
        if (!held.Add((key.Source, key.Code)))
            return;
        pressed.Add(key.Code);
        var codes = held.Select(one => one.Code).ToHashSet();
        for (var index = 0; index < hotkeys.Count; index++)
        {
            if (hotkeys[index].IsHeldBy(codes))
                complete.Add(index);
        }
    }

    private Hotkey? EndGesture()
    {
        var fired = spoiled
            ? null
            : complete.Order().Select(index => hotkeys[index]).FirstOrDefault(hotkey => pressed.All(hotkey.Contains));
        pressed.Clear();
        complete.Clear();
        spoiled = false;
        return fired;
    }
}
