using KvmSwitch.Agent.Windows.Hotkeys;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Core;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>The hotkeys of a Windows session, on a made keyboard.</summary>
public sealed class WindowsHotkeyTests
{
    private const int LeftCtrl = 29, RightCtrl = 97, LeftShift = 42, RightShift = 54, LeftAlt = 56, RightAlt = 100, H = 35, F12 = 88;
    private const byte VkH = 0x48;

    private readonly FakeKeyboard keyboard = new();
    private readonly HotkeyRegistrar registrar;

    public WindowsHotkeyTests() => registrar = new(keyboard);

    [Theory]
    [InlineData(1, 0x1b)] // escape
    [InlineData(2, '1')]
    [InlineData(11, '0')]
    [InlineData(14, 0x08)] // backspace
    [InlineData(16, 'Q')]
    [InlineData(28, 0x0d)] // enter
    [InlineData(30, 'A')]
    [InlineData(44, 'Z')]
    [InlineData(57, 0x20)] // space
    [InlineData(58, 0x14)] // caps lock
    [InlineData(59, 0x70)] // F1
    [InlineData(68, 0x79)] // F10
    [InlineData(70, 0x91)] // scroll lock
    [InlineData(82, 0x60)] // keypad 0
    [InlineData(88, 0x7b)] // F12
    [InlineData(92, 0x1c)] // henkan
    [InlineData(94, 0x1d)] // muhenkan
    [InlineData(97, 0xa3)] // right ctrl
    [InlineData(99, 0x2c)] // print screen
    [InlineData(102, 0x24)] // home
    [InlineData(111, 0x2e)] // delete
    [InlineData(119, 0x13)] // pause
    [InlineData(125, 0x5b)] // left meta
    [InlineData(127, 0x5d)] // menu
    [InlineData(164, 0xb3)] // play
    [InlineData(183, 0x7c)] // F13
    [InlineData(194, 0x87)] // F24
    public void A_key_of_evdev_has_its_virtual_key(int evdev, int expected) => Assert.Equal((byte)expected, VirtualKeys.Of(evdev));

    [Fact]
    public void Keys_that_Windows_lacks_and_numbers_that_are_no_keys_have_none() =>
        Assert.All([-1, 0, 0x110, 0x2ff, 100_000], code => Assert.Null(VirtualKeys.Of(code)));

    [Theory]
    [InlineData("ctrl+alt+shift+h", "Alt, Control, Shift:48")]
    [InlineData("leftctrl+f12", "Control:7B")]
    [InlineData("super+space", "Windows:20")]
    [InlineData("scrolllock", "None:91")]
    [InlineData("ctrl+pause", "Control:03")]
    [InlineData("alt+enter", "Alt:0D")]
    public void A_chord_as_the_configuration_spells_it_becomes_a_combination(string chord, string expected)
    {
        var keys = Chord.Parse(chord).Keys.Select(key => (IReadOnlyList<int>)[.. key.Codes.Select(code => (int)code)]).ToArray();
        var plan = ChordPlan.For(keys);
        Assert.Null(plan.Impossible);
        Assert.Equal(expected, string.Join(' ', plan.Combinations.Select(one => $"{one.Modifiers}:{one.Key:X2}")));
    }

    [Fact]
    public void Chords_that_Windows_can_not_watch_are_told()
    {
        Take(Hotkey("ctrl+shift", [LeftCtrl, RightCtrl], [LeftShift, RightShift]), Hotkey("a+b", [30], [48]), Hotkey("odd", [LeftCtrl], [0x2ff]));
        Assert.Equal(
            ["Windows needs a key beside the modifiers", "Windows takes only one key beside the modifiers", "Windows has no name for one of its keys"],
            Take(Hotkey("ctrl+shift", [LeftCtrl], [LeftShift]), Hotkey("a+b", [30], [48]), Hotkey("odd", [LeftCtrl], [0x2ff]))!.Select(one => one.Reason));
        Assert.Empty(keyboard.Registered);
    }

    [Fact]
    public void A_hotkey_of_another_program_is_told_and_the_others_work()
    {
        keyboard.Taken.Add(new(HotkeyModifiers.Control, VkH));
        var troubles = Take(Hotkey("ctrl+h", [LeftCtrl, RightCtrl], [H]), Hotkey("alt+h", [LeftAlt, RightAlt], [H]));
        Assert.Equal([new("ctrl+h", "another program has it")], troubles!);
        Assert.Equal([new KeyCombination(HotkeyModifiers.Alt, VkH)], keyboard.Registered.Values);
    }

    [Fact]
    public void A_service_that_was_restarted_is_told_again()
    {
        keyboard.Taken.Add(new(HotkeyModifiers.Control, VkH));
        var hotkey = Hotkey("ctrl+h", [LeftCtrl], [H]);
        Assert.Single(Take(hotkey)!);
        Assert.Null(Take(hotkey with { Conflict = true }));
        Assert.Single(Take(hotkey)!);
    }

    [Fact]
    public void The_same_hotkeys_again_are_left_alone_and_others_replace_them()
    {
        Take(Hotkey("ctrl+h", [LeftCtrl], [H]));
        var first = keyboard.Registered.Keys.Single();
        Assert.Null(Take(Hotkey("ctrl+h", [LeftCtrl], [H]) with { Conflict = true }));
        Assert.Equal([first], keyboard.Registered.Keys);
        Assert.Empty(Take(Hotkey("ctrl+f12", [LeftCtrl], [F12]))!);
        Assert.NotEqual(first, keyboard.Registered.Keys.Single());
        Assert.Null(registrar.Fired(first));
    }

    [Fact]
    public void Left_and_right_are_told_apart_when_it_fires()
    {
        Take(Hotkey("rightctrl+h", [RightCtrl], [H]));
        var id = keyboard.Registered.Keys.Single();
        keyboard.Down.UnionWith([VirtualKeys.LeftControl, VkH]);
        Assert.Null(registrar.Fired(id));
        keyboard.Down.Add(VirtualKeys.RightControl);
        var (hotkey, plan) = registrar.Fired(id)!.Value;
        Assert.Equal("rightctrl+h", hotkey.Chord);
        Assert.True(registrar.IsAnyDown(plan));
        keyboard.Down.Clear();
        Assert.False(registrar.IsAnyDown(plan));
        // Pressed and released before anybody could look.
        Assert.NotNull(registrar.Fired(id));
    }

    [Fact]
    public void Keys_that_are_down_when_a_device_leaves_are_released()
    {
        registrar.Take(State([Device("keyboard", here: true)]));
        keyboard.Down.UnionWith([VirtualKeys.LeftControl, VkH, 0x11]);
        registrar.Take(State([Device("keyboard", here: true), Device("mouse", here: true)]));
        Assert.Empty(keyboard.Released);
        // Without a link nobody knows what is here.
        registrar.Take(State([]) with { Link = PipeLink.Unreachable });
        Assert.Empty(keyboard.Released);
        registrar.Take(State([Device("keyboard", here: false), Device("mouse", here: true)]));
        Assert.Equal([VkH, VirtualKeys.LeftControl], keyboard.Released);
    }

    private IReadOnlyList<PipeHotkeyTrouble>? Take(params PipeHotkey[] hotkeys) => registrar.Take(State([], hotkeys));

    private static PipeState State(PipeDevice[] devices, params PipeHotkey[] hotkeys) => new("1", PipeLink.Connected, "win", null, devices, [], hotkeys);

    private static PipeDevice Device(string name, bool here) => new(name, "", here, MayRequest: true, Moving: false);

    private static PipeHotkey Hotkey(string chord, params IReadOnlyList<int>[] keys) => new(chord, PipeVerb.Return, [], Conflict: false, keys);

    private sealed class FakeKeyboard : ISessionKeyboard
    {
        public Dictionary<int, KeyCombination> Registered { get; } = [];

        public HashSet<KeyCombination> Taken { get; } = [];

        public HashSet<byte> Down { get; } = [];

        public List<byte> Released { get; } = [];

        public string? Register(int id, KeyCombination combination)
        {
            if (Taken.Contains(combination) || Registered.ContainsValue(combination))
                return "another program has it";
            Registered.Add(id, combination);
            return null;
        }

        public void Unregister(int id) => Assert.True(Registered.Remove(id));

        public bool IsDown(byte virtualKey) => Down.Contains(virtualKey);

        public void Release(IReadOnlyList<byte> virtualKeys) => Released.AddRange(virtualKeys);
    }
}
