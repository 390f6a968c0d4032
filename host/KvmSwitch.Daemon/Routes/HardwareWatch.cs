using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Linux;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.Daemon.Routes;

/// <summary>Turns what happens to the host's hardware (devices plugged in, discs, hotkeys) into looks and handoffs.</summary>
internal sealed partial class HardwareWatch(
    SwitchConfiguration configuration, HostSides sides, Switcher switcher, Switchboard switchboard, ILogger<HardwareWatch> log)
{
    /// <summary>Runs until cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken)
    {
        var drives = configuration.Devices.Where(device => device.Route is DeviceRoute.Optical);
        var watches = new List<Task> { WatchPlugsAsync(cancellationToken) };
        watches.AddRange(drives.Select(drive => WatchDiscsAsync(drive, cancellationToken)));
        if (sides.Input is { } input)
            watches.AddRange([input.Completion, WatchInputAsync(input.Changes, cancellationToken), WatchHotkeysAsync(input.Hotkeys, cancellationToken)]);
        return EndAsync(watches);
    }

    /// <summary>Ends with the first that ends.</summary>
    private static async Task EndAsync(IEnumerable<Task> watches) => await await Task.WhenAny(watches);

    private async Task WatchPlugsAsync(CancellationToken cancellationToken)
    {
        using var listener = sides.Uevents.Listen();
        await foreach (var uevent in listener.ReadAllAsync(cancellationToken))
        {
            if (!uevent.IsRescan && uevent.Subsystem is not ("usb" or "pci" or "block" or "input")) continue;
            if (uevent is { Action: "add", Subsystem: "usb" } && UsbPort.TryParse(Path.GetFileName(uevent.DevPath), out var port))
                foreach (var device in sides.At(port, configuration.Devices)) switcher.PluggedIn(device);
            switcher.LookAgain();
        }
    }

    private async Task WatchInputAsync(IUeventSource changes, CancellationToken cancellationToken)
    {
        using var listener = changes.Listen();
        await foreach (var _ in listener.ReadAllAsync(cancellationToken)) switcher.LookAgain();
    }

    private async Task WatchDiscsAsync(Device drive, CancellationToken cancellationToken)
    {
        var news = sides.Discs.WatchAsync(drive, () => switcher.Current.Find(drive.Id)?.Placement.Machine is not null, cancellationToken);
        await foreach (var what in news)
        {
            if (what == DiscNews.Left) await TryAsync(switchboard.TakeAsync([drive.Id.Value], all: false, Gesture.Disc, uid: -1), $"bringing {drive.Id} home");
            else if (drive.Route is DeviceRoute.Optical { Auto: { } machine })
                await TryAsync(switchboard.GiveAsync([drive.Id.Value], machine.Value, limit: null, force: false, Gesture.Disc, uid: -1), $"giving {drive.Id}");
        }
    }

    private async Task WatchHotkeysAsync(HotkeyListener listener, CancellationToken cancellationToken)
    {
        var hotkeys = configuration.HostHotkeys.ToDictionary(hotkey => hotkey.Chord);
        listener.Watch([.. hotkeys.Keys]);
        await foreach (var press in listener.Presses.ReadAllAsync(cancellationToken))
        {
            // Not awaited: the way home is open also while a handoff hangs.
            if (hotkeys.TryGetValue(press.Chord, out var hotkey)) _ = TryAsync(ActAsync(hotkey), $"{press.Chord}");
        }
    }

    private Task<Handoff> ActAsync(HostHotkey hotkey) => hotkey.Action switch
    {
        HostHotkeyAction.Take => switchboard.TakeAsync(hotkey.Targets, all: hotkey.Targets.IsEmpty, Gesture.Hotkey, uid: -1),
        HostHotkeyAction.Give => switchboard.GiveAsync(hotkey.Targets, hotkey.Machine, limit: null, force: false, Gesture.Hotkey, uid: -1),
        _ => switchboard.ToggleAsync(hotkey.Targets, hotkey.Machine, limit: null, force: false, Gesture.Hotkey, uid: -1),
    };

    private async Task TryAsync(Task<Handoff> handoff, string what)
    {
        try
        {
            await handoff;
        }
        catch (SwitchException failure)
        {
            LogFailed(what, failure.Message);
        }
    }

    [LoggerMessage(1401, LogLevel.Warning, "{What}: {Failure}")]
    private partial void LogFailed(string what, string failure);
}
