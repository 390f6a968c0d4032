using CsCheck;
using KvmSwitch.Core;
using Xunit;

namespace KvmSwitch.Tests.Configuration;

public sealed class ChordTests
{
    [Fact]
    public void A_chord_is_a_list_of_positions_with_the_codes_that_satisfy_each() => Assert.Equal(
        [[29, 97], [56, 100], [42, 54], [35]],
        Chord.Parse("ctrl+alt+shift+h").Keys.Select(key => key.Codes.ToArray()));

    [Theory]
    [InlineData("h+shift+ctrl+alt", "ctrl+alt+shift+h")]
    [InlineData("Ctrl + Win + F24", "ctrl+meta+f24")]
    [InlineData("control+super+pgup", "ctrl+meta+pageup")]
    [InlineData("KEY_LEFTCTRL+KEY_RIGHTCTRL", "leftctrl+rightctrl")]
    [InlineData("ctrl+altgr", "ctrl+rightalt")]
    [InlineData("ctrl+menu", "ctrl+compose")]
    [InlineData("ctrl+KEY_COMPOSE", "ctrl+compose")]
    [InlineData("scrolllock", "scrolllock")]
    [InlineData("pause", "pause")]
    [InlineData("f13", "f13")]
    [InlineData("alt+0+kp5", "alt+0+kp5")]
    [InlineData("rightctrl rightctrl", "rightctrl rightctrl")]
    [InlineData("  KEY_RIGHTCTRL   RightCtrl ", "rightctrl rightctrl")]
    [InlineData("control ctrl", "ctrl ctrl")]
    [InlineData("shift + alt alt + shift", "alt+shift alt+shift")]
    [InlineData("scrolllock scrolllock", "scrolllock scrolllock")]
    public void Chords_have_one_canonical_form(string text, string canonical) => Assert.Equal(canonical, Chord.Parse(text).ToString());

    [Theory]
    [InlineData("", "a chord is keys joined by '+', as ctrl+alt+h")]
    [InlineData("ctrl++h", "a chord is keys joined by '+', as ctrl+alt+h")]
    [InlineData("ctrl+hh", "there is no key 'hh'")]
    [InlineData("ctrl+scrolock", "there is no key 'scrolock'; did you mean 'scrolllock'?")]
    [InlineData("ctrl+KEY_MENU", "there is no key 'KEY_MENU'")]
    [InlineData("ctrl+h+h", "'ctrl+h+h' has one key twice: h")]
    [InlineData("ctrl+leftctrl+h", "'ctrl+leftctrl+h' has one key twice: ctrl and leftctrl")]
    [InlineData("ctrl", "'ctrl' is a single modifier; add another key, or tap it twice (ctrl ctrl)")]
    [InlineData(" ", "a chord is keys joined by '+', as ctrl+alt+h")]
    [InlineData("ctrl shift", "'ctrl shift' taps different keys; a double tap is the same keys twice (rightctrl rightctrl); keys held together are joined by '+'")]
    [InlineData("ctrl leftctrl", "'ctrl leftctrl' taps different keys")]
    [InlineData("ctrl ctrl ctrl", "'ctrl ctrl ctrl' is more than a double tap")]
    [InlineData("h h", "'h' alone is pressed while typing")]
    [InlineData("h", "'h' alone is pressed while typing; add a modifier (ctrl+alt+h)")]
    [InlineData("kp5", "'kp5' alone is pressed while typing; add a modifier (ctrl+alt+kp5)")]
    [InlineData("ctrl+a+b+c+d+e+f", "'ctrl+a+b+c+d+e+f' has more than 6 keys, which many keyboards can't report at once")]
    public void A_bad_chord_is_refused_with_the_reason(string text, string reason)
    {
        Assert.StartsWith(reason, Assert.Throws<FormatException>(() => Chord.Parse(text)).Message, StringComparison.Ordinal);
        Assert.False(Chord.TryParse(text, out _));
    }

    [Theory]
    [InlineData("esc", 1)]
    [InlineData("0", 11)]
    [InlineData("a", 30)]
    [InlineData("space", 57)]
    [InlineData("f12", 88)]
    [InlineData("kpenter", 96)]
    [InlineData("sysrq", 99)]
    [InlineData("delete", 111)]
    [InlineData("f24", 194)]
    [InlineData("micmute", 248)]
    public void Key_codes_are_those_of_the_kernel(string name, int code)
    {
        Assert.Equal(name, KeyCodes.NameOf(code));
        Assert.Equal([code], Chord.Parse($"meta+{name}").Keys[^1].Codes);
    }

    [Fact]
    public void A_double_tap_is_another_chord_than_the_same_keys_once()
    {
        Assert.True(Chord.Parse("f13 f13").IsDoubleTap);
        Assert.False(Chord.Parse("f13").IsDoubleTap);
        Assert.NotEqual(Chord.Parse("f13 f13"), Chord.Parse("f13"));
        Assert.Equal([[97]], Chord.Parse("rightctrl rightctrl").Keys.Select(key => key.Codes.ToArray()));
    }

    [Fact]
    public void A_code_outside_of_the_table_has_no_name() => Assert.Null(KeyCodes.NameOf(84));

    [Fact]
    public void Every_word_can_be_used_and_its_chord_parses_back()
    {
        Assert.True(KeyCodes.Words.Count() > 250);
        foreach (var word in KeyCodes.Words)
        {
            var other = word is "sysrq" or "printscreen" ? "pause" : "sysrq";
            var chord = Chord.Parse($"{word}+{other}");
            Assert.Equal(chord, Chord.Parse(chord.ToString()));
        }
    }

    [Fact]
    public void Order_does_not_matter()
    {
        string[] keys = ["ctrl", "alt", "shift", "meta", "x", "f1"];
        Gen.Shuffle(keys).Sample(shuffled => Chord.Parse(string.Join('+', shuffled)) == Chord.Parse(string.Join('+', keys)));
        Assert.NotEqual(Chord.Parse("ctrl+x"), Chord.Parse("leftctrl+x"));
    }
}
