using CsCheck;
using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Agent;

public sealed class ChordRecognizerTests
{
    private const ushort LeftControl = 29;
    private const ushort RightControl = 97;
    private const ushort Alt = 56;
    private const ushort K = 37;
    private const ushort Shift = 42;
    private const ushort MouseButton = 0x110;

    private static readonly ushort[] Codes = [LeftControl, Alt, K, Shift, 30];

    private static readonly Hotkey Home = new([[LeftControl, RightControl], [Alt], [K]], new(), "Ctrl+Alt+K");
    private static readonly Hotkey Other = new([[LeftControl, RightControl], [Alt], [Shift], [K]], new(), "Ctrl+Alt+Shift+K");

    [Fact]
    public void It_fires_once_when_all_keys_are_up()
    {
        Assert.Equal([null, null, null, null, null, "Ctrl+Alt+K"], Play(Down(LeftControl), Down(Alt), Down(K), Up(K), Up(Alt), Up(LeftControl)));
    }

    [Fact]
    public void Either_control_key_will_do() =>
        Assert.Equal("Ctrl+Alt+K", Play(Down(RightControl), Down(Alt), Down(K), Up(K), Up(RightControl), Up(Alt))[^1]);

    [Fact]
    public void The_keys_may_be_on_two_keyboards() =>
        Assert.Equal("Ctrl+Alt+K", Play(Down(LeftControl), Down(Alt), Down(K, "event9"), Up(Alt), Up(LeftControl), Up(K, "event9"))[^1]);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void An_extra_key_at_any_moment_spoils_it(int moment)
    {
        KeyEvent[] chord = [Down(LeftControl), Down(Alt), Down(K), Up(K), Up(Alt), Up(LeftControl)];
        KeyEvent[] spoiled = [.. chord[..moment], Down(30), Up(30), .. chord[moment..]];
        // Before the first key it is a gesture of its own.
        Assert.Equal(moment == 0 ? "Ctrl+Alt+K" : null, Play(spoiled)[^1]);
    }

    [Fact]
    public void The_longer_of_two_chords_does_not_fire_the_shorter()
    {
        Assert.Equal("Ctrl+Alt+Shift+K", Play(
            Down(LeftControl), Down(Alt), Down(K), Down(Shift), Up(K), Up(Shift), Up(Alt), Up(LeftControl))[^1]);
    }

    [Fact]
    public void Keys_of_a_chord_that_were_never_down_together_are_no_chord() =>
        Assert.All(Play(Down(LeftControl), Down(Alt), Up(Alt), Down(K), Up(K), Up(LeftControl)), Assert.Null);

    [Fact]
    public void A_repeat_is_no_new_press() =>
        Assert.Equal("Ctrl+Alt+K", Play(Down(LeftControl), Down(Alt), Down(K), Down(K), Down(K), Up(K), Up(Alt), Up(LeftControl))[^1]);

    [Fact]
    public void A_mouse_button_that_rests_pressed_does_not_matter() =>
        Assert.Equal("Ctrl+Alt+K", Play(Down(MouseButton), Down(LeftControl), Down(Alt), Down(K), Up(K), Up(Alt), Up(LeftControl))[^1]);

    [Fact]
    public void A_keyboard_that_vanishes_releases_its_keys_and_fires_nothing()
    {
        var recognizer = new ChordRecognizer([Home]);
        KeyEvent[] lost = [Down(LeftControl), Down(Alt), Down(K), new("event1", "1-2", 0, KeyMove.Lost)];
        Assert.All(lost, key => Assert.Null(recognizer.Take(key)));
        KeyEvent[] again = [Down(LeftControl), Down(Alt), Down(K), Up(K), Up(Alt)];
        Assert.All(again, key => Assert.Null(recognizer.Take(key)));
        Assert.Same(Home, recognizer.Take(Up(LeftControl)));
    }

    [Fact]
    public void It_only_ever_fires_with_all_keys_up_and_as_the_rule_says() =>
        Gen.Select(Gen.Int[0, Codes.Length - 1], Gen.Int[1, 2], Gen.Int[0, 9]).Array[0, 60].Sample(steps =>
        {
            var recognizer = new ChordRecognizer([Home, Other]);
            var held = new HashSet<(string, ushort)>();
            var pressed = new HashSet<ushort>();
            var complete = new HashSet<Hotkey>();
            var spoiled = false;
            foreach (var (index, keyboard, kind) in steps)
            {
                var (code, source) = (Codes[index], $"event{keyboard}");
                var key = kind == 9
                    ? new KeyEvent(source, "1-2", 0, KeyMove.Lost)
                    : new KeyEvent(source, "1-2", code, kind < 6 && !held.Contains((source, code)) ? KeyMove.Down : KeyMove.Up);
                var wasHeld = held.Count > 0;
                if (key.Move == KeyMove.Down)
                {
                    held.Add((source, code));
                    pressed.Add(code);
                }
                else if (key.Move == KeyMove.Up)
                {
                    held.Remove((source, code));
                }
                else
                {
                    spoiled |= held.RemoveWhere(one => one.Item1 == source) > 0;
                }

                foreach (var hotkey in new[] { Home, Other }.Where(one => one.IsHeldBy(held.Select(each => each.Item2).ToHashSet())))
                    complete.Add(hotkey);
                var expected = wasHeld && held.Count == 0 && !spoiled
                    ? new[] { Home, Other }.FirstOrDefault(one => complete.Contains(one) && pressed.All(one.Contains))
                    : null;
                if (!ReferenceEquals(expected, recognizer.Take(key)))
                    return false;
                if (held.Count == 0)
                {
                    pressed.Clear();
                    complete.Clear();
                    spoiled = false;
                }
            }

            return true;
        });

    [Fact]
    public void A_pushed_hotkey_without_keys_or_action_or_with_an_impossible_code_is_left_out()
    {
        var action = new GuestAction { Verb = GuestAction.Types.Verb.Return };
        var read = Hotkey.Read(new()
        {
            Hotkeys =
            {
                new HotkeyConfiguration.Types.Hotkey { Action = action, Chord = "empty" },
                new HotkeyConfiguration.Types.Hotkey { Keys = { Key(30) }, Chord = "no action" },
                new HotkeyConfiguration.Types.Hotkey { Keys = { Key() }, Action = action, Chord = "position without codes" },
                new HotkeyConfiguration.Types.Hotkey { Keys = { Key(65566) }, Action = action, Chord = "would wrap to 30" },
                new HotkeyConfiguration.Types.Hotkey { Keys = { Key(30, 31) }, Action = action, Chord = "good" },
            },
        });
        var only = Assert.Single(read);
        Assert.Equal("good", only.Chord);
        Assert.Equal<ushort>([30, 31], Assert.Single(only.Keys));
    }

    private static HotkeyConfiguration.Types.Key Key(params uint[] codes) => new() { Codes = { codes } };

    private static KeyEvent Down(ushort code, string source = "event1") => new(source, "1-2", code, KeyMove.Down);

    private static KeyEvent Up(ushort code, string source = "event1") => new(source, "1-2", code, KeyMove.Up);

    private static string?[] Play(params KeyEvent[] keys)
    {
        var recognizer = new ChordRecognizer([Home, Other]);
        return [.. keys.Select(key => recognizer.Take(key)?.Chord)];
    }
}
