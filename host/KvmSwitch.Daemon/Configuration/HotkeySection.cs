using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads <c>[[hotkey]]</c>.</summary>
internal static class HotkeySection
{
    private const string ChordForm = "keys joined by '+', as \"ctrl+alt+shift+h\"";

    public static (ImmutableArray<GuestHotkey> Guest, ImmutableArray<HostHotkey> Host) ReadAll(
        TableReader root, ImmutableArray<MachineOptions> machines, Targets targets)
    {
        var guest = ImmutableArray.CreateBuilder<GuestHotkey>();
        var host = ImmutableArray.CreateBuilder<HostHotkey>();
        foreach (var table in root.Each("hotkey", "a table for each hotkey ([[hotkey]])"))
        {
            if (table.Word("where", false, ("guest", false), ("host", true))) AddHost(table, machines, targets, host);
            else AddGuest(table, machines, targets, guest);
            table.Finish();
        }

        return (guest.DrainToImmutable(), host.DrainToImmutable());
    }

    private static void AddGuest(
        TableReader table, ImmutableArray<MachineOptions> machines, Targets targets, ImmutableArray<GuestHotkey>.Builder hotkeys)
    {
        if (Read(table, machines, targets) is not { } hotkey) return;
        if (hotkey.Chord.IsDoubleTap) table.Fail("chord", $"{hotkey.Chord} is a double tap, which only the host can hear; write keys held together, or where = \"host\"");
        if (hotkeys.FirstOrDefault(other => other.Chord == hotkey.Chord && other.Machines.Intersect(hotkey.Machines).Any()) is { } twin)
            table.Fail("chord", $"{hotkey.Chord} has a meaning already in '{twin.Machines.Intersect(hotkey.Machines).First()}'; choose another chord");
        hotkeys.Add(hotkey);
    }

    private static void AddHost(
        TableReader table, ImmutableArray<MachineOptions> machines, Targets targets, ImmutableArray<HostHotkey>.Builder hotkeys)
    {
        var chord = table.Require<Chord?>("chord", null, Chord.Parse, ChordForm);
        var action = table.Word(
            "action", HostHotkeyAction.Take, ("give", HostHotkeyAction.Give), ("take", HostHotkeyAction.Take), ("toggle", HostHotkeyAction.Toggle));
        if (!table.Has("action")) table.Fail("action", "is missing; write \"give\", \"take\" or \"toggle\"");
        var named = table.List("targets", text => (text, devices: targets.Resolve(text)));
        if (action != HostHotkeyAction.Take && table.Texts("targets").IsEmpty) table.Fail("targets", "is needed with \"give\" and \"toggle\"; name the devices and sets to move");
        var machine = table.Read("machine", "", text => Machine(text, machines).Value);
        if (action == HostHotkeyAction.Take && table.Has("machine")) table.Fail("machine", "has no meaning with \"take\"; remove it");
        if (action != HostHotkeyAction.Take && !table.Has("machine") && machines.Length > 1) table.Fail("machine", $"is needed, as there are {machines.Length} machines");
        if (chord is null) return;
        if (hotkeys.Any(other => other.Chord == chord)) table.Fail("chord", $"{chord} has a meaning already on the host; choose another chord");
        hotkeys.Add(new(chord, action, [.. named.Select(pair => pair.text)], machine));
    }

    private static GuestHotkey? Read(TableReader table, ImmutableArray<MachineOptions> machines, Targets targets)
    {
        var chord = table.Require<Chord?>("chord", null, Chord.Parse, ChordForm);
        var action = table.Word("action", HotkeyAction.Return, ("return", HotkeyAction.Return), ("request", HotkeyAction.Request));
        if (!table.Has("action")) table.Fail("action", "is missing; write \"return\" (give back to the host) or \"request\" (ask the host for devices)");
        var named = table.List("targets", text => (text, devices: targets.Resolve(text)));
        var guests = table.List("machines", text => Machine(text, machines));
        if (guests.IsEmpty && !table.Has("machines")) guests = [.. machines.Select(machine => machine.Id)];
        if (action == HotkeyAction.Request) CheckRequest(table, named, machines.Where(machine => guests.Contains(machine.Id)));
        return chord is null ? null : new(chord, action, [.. named.Select(pair => pair.text)], guests);
    }

    /// <summary>A hotkey that could only ever be refused is a mistake.</summary>
    private static void CheckRequest(
        TableReader table, ImmutableArray<(string Text, ImmutableArray<DeviceId> Devices)> targets, IEnumerable<MachineOptions> machines)
    {
        if (table.Texts("targets").IsEmpty) table.Fail("targets", "is needed with action = \"request\"; name the devices and sets to ask for");
        foreach (var machine in machines)
        {
            foreach (var (text, devices) in targets)
            {
                if (devices.Except(machine.MayRequest).Any())
                    table.Fail("targets", $"the guest of '{machine.Id}' may not ask for '{text}'; add it to guest.{machine.Id}.may_request");
            }
        }
    }

    private static Chord GuestChord(string text) => Chord.Parse(text) is { IsDoubleTap: false } chord
        ? chord
        : throw new FormatException($"'{text}' is a double tap, which a guest can't watch for; write keys held together, as \"ctrl+alt+shift+h\"");

    private static MachineId Machine(string text, ImmutableArray<MachineOptions> machines) =>
        machines.FirstOrDefault(machine => machine.Id.Value == text)?.Id
        ?? throw new FormatException($"there is no machine '{text}'{Spelling.Hint(text, machines.Select(machine => machine.Id.Value))}");
}
