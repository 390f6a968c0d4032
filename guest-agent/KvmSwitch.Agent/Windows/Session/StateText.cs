using System.Text;
using System.Text.Json;
using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>The service's state on a command line.</summary>
internal static class StateText
{
    public static string Of(PipeState state)
    {
        var text = new StringBuilder(Link(state));
        foreach (var device in state.Devices)
            text.Append($"\n  {device.Name}: {Place(device)}{(device.Label.Length > 0 ? $" ({device.Label})" : "")}");
        foreach (var set in state.Sets)
            text.Append($"\n  {set.Name}: the set of {string.Join(", ", set.Devices)}");
        foreach (var hotkey in state.Hotkeys)
            text.Append($"\n  {hotkey.Chord}: {(hotkey.Verb == PipeVerb.Return ? "gives back" : "asks for")} {(hotkey.Targets.Count == 0 ? "everything" : string.Join(", ", hotkey.Targets))}{(hotkey.Conflict ? "; does not work: another program has it" : "")}");
        return text.ToString();
    }

    /// <summary>As the contract of the pipe has it.</summary>
    public static string Json(PipeState state) => JsonSerializer.Serialize(state, PipeJson.Default.PipeState);

    private static string Link(PipeState state) => state.Link switch
    {
        PipeLink.NotPaired => $"Not paired. Run 'kvmswitch guest tools NAME' on the host, or '{AgentProgram.Name} join CODE' here with the code of 'kvmswitch guest pair NAME'.",
        PipeLink.Connected => $"This is machine {state.Machine}; the link to the host is up. {state.Trouble}".TrimEnd(),
        PipeLink.Refused => $"This is machine {state.Machine}; the host no longer accepts it: pair it again. {state.Trouble}".TrimEnd(),
        _ => $"This is machine {state.Machine}; the host does not answer. {state.Trouble}".TrimEnd(),
    };

    private static string Place(PipeDevice device) => device switch
    {
        { Moving: true } => "moving",
        { Here: true } => "here",
        { MayRequest: true } => "at the host; may be asked for",
        _ => "at the host",
    };
}
