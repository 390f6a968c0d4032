using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>The configured hotkeys in the words of the contract. Pure.</summary>
internal static class GuestHotkeys
{
    /// <summary>Those that one guest watches.</summary>
    public static HotkeyConfiguration For(MachineId machine, IEnumerable<GuestHotkey> hotkeys)
    {
        var message = new HotkeyConfiguration();
        message.Hotkeys.AddRange(hotkeys.Where(hotkey => hotkey.Machines.Contains(machine)).Select(Of));
        return message;
    }

    private static HotkeyConfiguration.Types.Hotkey Of(GuestHotkey hotkey)
    {
        var message = new HotkeyConfiguration.Types.Hotkey
        {
            Chord = hotkey.Chord.ToString(),
            Action = new()
            {
                Verb = hotkey.Action == HotkeyAction.Return ? GuestAction.Types.Verb.Return : GuestAction.Types.Verb.Request,
            },
        };
        message.Action.Targets.AddRange(hotkey.Targets);
        foreach (var key in hotkey.Chord.Keys)
        {
            var position = new HotkeyConfiguration.Types.Key();
            position.Codes.AddRange(key.Codes.Select(code => (uint)code));
            message.Keys.Add(position);
        }

        return message;
    }
}
