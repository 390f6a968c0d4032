using System.Text.Json.Serialization;

namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>
/// What the service and the programs of a user's session (tray, command line) say to each other: one JSON object a line, UTF-8, over a pipe that only
/// interactive users can open. The service sends a <see cref="PipeState"/> first and again after every change.
/// </summary>
internal static class PipeContract
{
    public const string Name = "KvmSwitch.Agent";

    /// <summary>Bytes of a line from the service, its end included.</summary>
    public const int LongestFromService = 64 * 1024;

    /// <summary>Bytes of a line to the service, its end included. A longer one ends the connection.</summary>
    public const int LongestToService = 4 * 1024;
}

/// <summary>A line from the service: exactly one of its parts is there.</summary>
internal sealed record FromService(PipeState? State = null, PipeNotice? Notice = null, PipeReply? Reply = null);

/// <summary>A line to the service. What it may ask for is what <see cref="PipeState"/> shows, nothing else.</summary>
/// <param name="Id">Comes back in <see cref="PipeReply"/>.</param>
/// <param name="Verb">What the host shall do.</param>
/// <param name="Targets">Devices and sets. Empty with <see cref="PipeVerb.Return"/>: everything that this guest holds.</param>
/// <param name="Gesture"><c>tray</c>, <c>cli</c> or <c>hotkey</c>: for the history.</param>
/// <param name="Hotkeys">The line is no request, but tells which hotkeys don't work in this session, complete. Not answered.</param>
internal sealed record ToService(
    ulong Id, PipeVerb Verb, IReadOnlyList<string> Targets, string Gesture, IReadOnlyList<PipeHotkeyTrouble>? Hotkeys = null);

/// <param name="Chord">As in <see cref="PipeHotkey"/>.</param>
/// <param name="Reason">One clause, as <c>another program has it</c>.</param>
internal sealed record PipeHotkeyTrouble(string Chord, string Reason);

internal enum PipeVerb
{
    /// <summary>Give what is named back to the host.</summary>
    Return,

    /// <summary>Ask the host for what is named.</summary>
    Request,
}

/// <summary>All that a tray shows.</summary>
/// <param name="Version">Of the service, for people.</param>
/// <param name="Link">How things stand with the host.</param>
/// <param name="Machine">The machine that this guest is; null when not paired.</param>
/// <param name="Trouble">What is wrong: why the host can't be reached, or that the clocks are far apart; null when all is well.</param>
internal sealed record PipeState(
    string Version,
    PipeLink Link,
    string? Machine,
    string? Trouble,
    IReadOnlyList<PipeDevice> Devices,
    IReadOnlyList<PipeSet> Sets,
    IReadOnlyList<PipeHotkey> Hotkeys);

internal enum PipeLink
{
    /// <summary>Not paired with a host yet.</summary>
    NotPaired,

    /// <summary>Paired; the host does not answer.</summary>
    Unreachable,

    /// <summary>The host no longer accepts this guest: it has to be paired again.</summary>
    Refused,

    /// <summary>The link is up.</summary>
    Connected,
}

/// <summary>A device that this guest holds or may ask for, as GuestState.Device in guest.proto.</summary>
internal sealed record PipeDevice(string Name, string Label, bool Here, bool MayRequest, bool Moving);

internal sealed record PipeSet(string Name, IReadOnlyList<string> Devices);

/// <param name="Chord">As the host's configuration spells it.</param>
/// <param name="Verb">What it does.</param>
/// <param name="Targets">As in <see cref="ToService"/>.</param>
/// <param name="Conflict">Another program has this hotkey, or Windows can't watch it, so that it does nothing here.</param>
/// <param name="Keys">Positions of the chord, each with the evdev key codes that satisfy it, for whoever registers it.</param>
internal sealed record PipeHotkey(
    string Chord, PipeVerb Verb, IReadOnlyList<string> Targets, bool Conflict, IReadOnlyList<IReadOnlyList<int>>? Keys = null);

/// <summary>Something worth a balloon.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Device">Its label, or its name; null where it is about no device.</param>
/// <param name="Reason">One sentence of the host or the service; null where there is none.</param>
internal sealed record PipeNotice(PipeNoticeKind Kind, string? Device, string? Reason);

internal enum PipeNoticeKind
{
    Arrived,
    Left,
    Failed,
}

/// <param name="Id">Of the <see cref="ToService"/> that this answers.</param>
/// <param name="Error">Why not, one sentence; null when it was done.</param>
internal sealed record PipeReply(ulong Id, string? Error);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = false)]
[JsonSerializable(typeof(FromService))]
[JsonSerializable(typeof(ToService))]
[JsonSerializable(typeof(PipeState))]
internal sealed partial class PipeJson : JsonSerializerContext;
