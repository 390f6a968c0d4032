namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>What a session may say to the service. Pure.</summary>
internal static class PipeRules
{
    private const int MostTargets = 64;
    private const int LongestReason = 200;

    /// <summary>Null when the request is one that the state offers; else why it is not, one sentence.</summary>
    public static string? Objection(ToService request, PipeState state)
    {
        if (request.Gesture is not ("tray" or "cli" or "hotkey"))
            return "The service does not know who asks.";
        if (request.Verb is not (PipeVerb.Return or PipeVerb.Request))
            return "The service does not know this verb.";
        if (state.Link != PipeLink.Connected)
            return state.Trouble ?? "There is no link to the host.";
        if (request.Targets.Count > MostTargets)
            return $"At most {MostTargets} targets can be named.";
        if (request.Targets.Count == 0 && request.Verb == PipeVerb.Request)
            return "Name what to ask for.";
        return request.Targets.FirstOrDefault(name => !IsShown(name, state)) is { } unknown ? $"This guest has no '{Clean(unknown)}' to ask for or give back." : null;
    }

    /// <summary>The troubles that are about hotkeys of ours, fit for a log.</summary>
    public static IReadOnlyList<PipeHotkeyTrouble> Troubles(IReadOnlyList<PipeHotkeyTrouble> told, PipeState state) =>
    [
        .. told.Where(one => state.Hotkeys.Any(hotkey => hotkey.Chord == one.Chord))
            .DistinctBy(one => one.Chord)
            .Select(one => one with { Reason = Clean(one.Reason) }),
    ];

    private static bool IsShown(string name, PipeState state) =>
        state.Devices.Any(device => device.Name == name) || state.Sets.Any(set => set.Name == name);

    private static string Clean(string text)
    {
        var clean = string.Concat(text.Where(one => !char.IsControl(one)));
        return clean.Length > LongestReason ? clean[..LongestReason] : clean;
    }
}
