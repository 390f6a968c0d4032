namespace KvmSwitch.Agent.Hotkeys;

/// <summary>Hotkeys from single key events, for systems without a call of their own.</summary>
internal sealed class ChordWatch : IHotkeys
{
    private readonly Lock gate = new();
    private ChordRecognizer recognizer = new([]);

    public Action<Hotkey>? Pressed { get; set; }

    public void Watch(IReadOnlyList<Hotkey> hotkeys)
    {
        // Keys held now are unknown to the new recognizer, so a gesture under way can't fire the wrong hotkey.
        lock (gate)
            recognizer = new(hotkeys);
    }

    public void Take(KeyEvent key)
    {
        Hotkey? fired;
        lock (gate)
            fired = recognizer.Take(key);
        if (fired is not null)
            Pressed?.Invoke(fired);
    }
}
