using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Hotkeys;

/// <summary>The keyboard of one session, as one thread of it may use it.</summary>
internal interface ISessionKeyboard
{
    /// <summary>Null when the combination is watched from now on; else why not, one clause.</summary>
    string? Register(int id, KeyCombination combination);

    void Unregister(int id);

    bool IsDown(byte virtualKey);

    /// <summary>Makes Windows believe that these keys are up.</summary>
    void Release(IReadOnlyList<byte> virtualKeys);
}

/// <summary>Registers the hotkeys that the service tells, and finds the one that fired. For one thread.</summary>
internal sealed class HotkeyRegistrar(ISessionKeyboard keyboard)
{
    private const byte FirstKey = 0x08;
    private const byte LastKey = 0xfe;

    private readonly Dictionary<int, (PipeHotkey Hotkey, ChordPlan Plan)> registered = [];
    private string watched = "";
    private IReadOnlyList<PipeHotkeyTrouble> troubles = [];
    private HashSet<string> here = new(StringComparer.Ordinal);

    // The same as before means nothing to do; ids start anew all the same, so that a message of an old one can't fire a new one.
    private int lastId;

    /// <summary>Takes the newest state: hotkeys to watch, and what left since.</summary>
    /// <returns>What doesn't work, when that was tried anew or the service doesn't know it; null when there is nothing to tell.</returns>
    public IReadOnlyList<PipeHotkeyTrouble>? Take(PipeState state)
    {
        // While there is no link nobody knows what is here.
        if (state.Link != PipeLink.Connected)
            return Watch(state.Hotkeys);
        var now = state.Devices.Where(device => device.Here).Select(device => device.Name).ToHashSet(StringComparer.Ordinal);
        if (!here.IsSubsetOf(now))
            ReleaseAll();
        here = now;
        return Watch(state.Hotkeys);
    }

    /// <summary>The hotkey of this id, unless it was made with the wrong one of two modifiers.</summary>
    public (PipeHotkey Hotkey, ChordPlan Plan)? Fired(int id) =>
        registered.TryGetValue(id, out var one) && !one.Plan.IsOtherSide(keyboard.IsDown) ? one : null;

    /// <summary>Some key of the chord is still down.</summary>
    public bool IsAnyDown(ChordPlan plan) => plan.Positions.Any(position => position.Any(keyboard.IsDown));

    /// <summary>Releases what Windows still believes down: whoever held it has left.</summary>
    public void ReleaseAll()
    {
        var stuck = Enumerable.Range(FirstKey, LastKey - FirstKey + 1).Select(key => (byte)key).Where(key => !IsGeneric(key) && keyboard.IsDown(key)).ToArray();
        if (stuck.Length > 0)
            keyboard.Release(stuck);
    }

    public void Clear()
    {
        foreach (var id in registered.Keys)
            keyboard.Unregister(id);
        registered.Clear();
        watched = "";
    }

    // VK_SHIFT, VK_CONTROL and VK_MENU stand for the left or the right one.
    private static bool IsGeneric(byte key) => key is >= 0x10 and <= 0x12;

    private static string Identity(PipeHotkey hotkey) =>
        $"{hotkey.Chord} {hotkey.Verb} {string.Join(',', hotkey.Targets)} {string.Join(' ', (hotkey.Keys ?? []).Select(codes => string.Join(',', codes)))}";

    private IReadOnlyList<PipeHotkeyTrouble>? Watch(IReadOnlyList<PipeHotkey> hotkeys)
    {
        var wanted = string.Join('\n', hotkeys.Select(Identity));
        if (wanted == watched)
            return troubles.All(trouble => hotkeys.Any(one => one.Chord == trouble.Chord && one.Conflict)) ? null : troubles;
        Clear();
        watched = wanted;
        var found = new List<PipeHotkeyTrouble>();
        foreach (var hotkey in hotkeys.Where(one => one.Keys is not null))
        {
            if (Register(hotkey, ChordPlan.For(hotkey.Keys!)) is { } reason)
                found.Add(new(hotkey.Chord, reason));
        }

        troubles = found;
        return troubles;
    }

    private string? Register(PipeHotkey hotkey, ChordPlan plan)
    {
        var reason = plan.Impossible;
        foreach (var combination in plan.Combinations)
        {
            lastId = (lastId % 0xbfff) + 1;
            if (keyboard.Register(lastId, combination) is { } refusal)
                reason ??= refusal;
            else
                registered[lastId] = (hotkey, plan);
        }

        return reason;
    }
}
