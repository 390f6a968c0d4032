using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>What choosing an entry of the menu does.</summary>
internal abstract record TrayAction
{
    /// <summary>Asks the service for something.</summary>
    internal sealed record Ask(PipeVerb Verb, params string[] Targets) : TrayAction;

    internal sealed record StartService : TrayAction;

    internal sealed record TellPairing : TrayAction;

    internal sealed record About : TrayAction;
}

/// <summary>An entry of the menu. Without text it is a line between groups.</summary>
/// <param name="Action">Null where the entry only tells something, or opens <paramref name="Entries"/>.</param>
internal sealed record MenuEntry(string Text, TrayAction? Action = null, bool Enabled = true, bool Checked = false, IReadOnlyList<MenuEntry>? Entries = null)
{
    public static readonly MenuEntry Line = new("");
}

/// <summary>The menu for a state.</summary>
internal static class TrayMenu
{
    // The service is bounded; this bounds what a person has to look through.
    private const int MostEntries = 40;

    public static IReadOnlyList<MenuEntry> Of(TrayState state, Texts texts) =>
    [
        GiveBack(state, texts),
        AskKeyboard(state, texts),
        MenuEntry.Line,
        .. Switchable(state, texts),
        MenuEntry.Line,
        new(state.Describe(texts), Enabled: false),
        .. Remedy(state, texts),
        new(texts[TextKey.Hotkeys], Entries: Hotkeys(state, texts)),
        MenuEntry.Line,
        new(texts[TextKey.About], new TrayAction.About()),
    ];

    /// <summary>What the first entry, a double click and Enter do.</summary>
    public static MenuEntry GiveBack(TrayState state, Texts texts) =>
        new(texts[TextKey.GiveBack], new TrayAction.Ask(PipeVerb.Return), state is { IsLinked: true, HasSomething: true });

    private static MenuEntry AskKeyboard(TrayState state, Texts texts) => state.Keyboard is { } keyboard
        ? new(texts[TextKey.AskKeyboard], new TrayAction.Ask(PipeVerb.Request, keyboard.Name), state.IsLinked && keyboard is { Here: false, Moving: false, MayRequest: true })
        : new(texts[TextKey.AskKeyboard], Enabled: false);

    private static IEnumerable<MenuEntry> Switchable(TrayState state, Texts texts)
    {
        if (state.Service is not { Devices.Count: > 0 } service)
            return [new(texts[TextKey.NoDevices], Enabled: false)];
        var devices = service.Devices.Select(device => Device(device, state.IsLinked, texts));
        var sets = service.Sets.Select(set => Set(set, service.Devices, state.IsLinked, texts)).OfType<MenuEntry>();
        return devices.Concat(sets).Take(MostEntries);
    }

    private static MenuEntry Device(PipeDevice device, bool linked, Texts texts) => new(
        device.Moving ? texts[TextKey.Moving, NameOf(device)] : NameOf(device),
        new TrayAction.Ask(device.Here ? PipeVerb.Return : PipeVerb.Request, device.Name),
        linked && !device.Moving && (device.Here || device.MayRequest),
        device.Here);

    private static MenuEntry? Set(PipeSet set, IReadOnlyList<PipeDevice> devices, bool linked, Texts texts)
    {
        var members = devices.Where(device => set.Devices.Contains(device.Name)).ToArray();
        if (members.Length == 0)
            return null;
        var here = Array.TrueForAll(members, device => device.Here);
        var text = texts[TextKey.Set, set.Name, string.Join(", ", members.Select(NameOf))];
        return new(
            Array.Exists(members, device => device.Moving) ? texts[TextKey.Moving, text] : text,
            new TrayAction.Ask(here ? PipeVerb.Return : PipeVerb.Request, set.Name),
            linked && Array.TrueForAll(members, device => !device.Moving && (device.Here || device.MayRequest)),
            here);
    }

    private static IEnumerable<MenuEntry> Remedy(TrayState state, Texts texts) => state switch
    {
        { Service: null, Health: ServiceHealth.Stopped } => [new(texts[TextKey.StartService], new TrayAction.StartService())],
        { Service.Link: PipeLink.NotPaired } => [new(texts[TextKey.HowToPair], new TrayAction.TellPairing())],
        { Service.Link: PipeLink.Refused } => [new(texts[TextKey.HowToPairAgain], new TrayAction.TellPairing())],
        { Service: { Link: PipeLink.Unreachable or PipeLink.Connected, Trouble: { } trouble } } => [new(trouble, Enabled: false)],
        _ => [],
    };

    private static MenuEntry[] Hotkeys(TrayState state, Texts texts) => state.Service is { Hotkeys.Count: > 0 } service
        ? [.. service.Hotkeys.Take(MostEntries).Select(hotkey => new MenuEntry(Hotkey(hotkey, texts), Enabled: false))]
        : [new(texts[TextKey.NoHotkeys], Enabled: false)];

    private static string Hotkey(PipeHotkey hotkey, Texts texts)
    {
        var targets = string.Join(", ", hotkey.Targets);
        var text = (hotkey.Verb, hotkey.Targets.Count) switch
        {
            (PipeVerb.Return, 0) => texts[TextKey.HotkeyReturnAll, hotkey.Chord],
            (PipeVerb.Return, _) => texts[TextKey.HotkeyReturn, hotkey.Chord, targets],
            _ => texts[TextKey.HotkeyRequest, hotkey.Chord, targets],
        };
        return hotkey.Conflict ? texts[TextKey.HotkeyConflict, text] : text;
    }

    private static string NameOf(PipeDevice device) => device.Label.Length > 0 ? device.Label : device.Name;
}
