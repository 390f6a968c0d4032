using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Tray;

namespace KvmSwitch.Tests.Agent.Windows;

/// <summary>States that the tray's tests share.</summary>
internal static class TrayExamples
{
    public static readonly PipeDevice Keyboard = new("keyboard", "Keyboard", Here: true, MayRequest: true, Moving: false);
    public static readonly PipeDevice Trackball = new("trackball", "", Here: true, MayRequest: false, Moving: false);
    public static readonly PipeDevice Audio = new("audio", "USB audio", Here: false, MayRequest: true, Moving: true);
    public static readonly PipeDevice Drive = new("bluray", "R&D drive", Here: false, MayRequest: true, Moving: false);

    public static readonly PipeState Service = new(
        "1.2.3", PipeLink.Connected, "win", null, [Keyboard, Trackball, Audio, Drive],
        [new("desk", ["keyboard", "trackball"]), new("sound", ["audio", "keyboard"]), new("elsewhere", ["printer"])],
        [
            new("ctrl+alt+h", PipeVerb.Return, [], Conflict: false),
            new("ctrl+alt+k", PipeVerb.Return, ["keyboard"], Conflict: true),
            new("ctrl+alt+b", PipeVerb.Request, ["bluray", "audio"], Conflict: false),
        ]);

    public static TrayState Linked(params PipeDevice[] devices) => Told(Service with { Devices = devices, Sets = [], Hotkeys = [] });

    public static TrayState Told(PipeState state) => new(ServiceHealth.Answers, state, WasThere: true);

    public static TrayState Told(PipeLink link, string? trouble = null) =>
        Told(Service with { Link = link, Trouble = trouble, Machine = link == PipeLink.NotPaired ? null : "win", Devices = [], Sets = [], Hotkeys = [] });
}
