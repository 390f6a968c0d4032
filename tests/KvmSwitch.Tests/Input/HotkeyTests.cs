using CsCheck;
using KvmSwitch.Core;
using KvmSwitch.Linux.Input;
using Xunit;

namespace KvmSwitch.Tests.Input;

public sealed class HotkeyTests
{
    private const ushort A = 30;
    private const ushort H = 35;
    private const ushort LeftCtrl = 29;
    private const ushort RightCtrl = 97;
    private const ushort LeftAlt = 56;
    private const ushort LeftShift = 42;
    private const ushort F13 = 183;

    private static readonly ushort[] Codes = [A, H, LeftCtrl, LeftAlt, LeftShift, RightCtrl];

    [Theory]
    [InlineData("ctrl+alt+h", "+29 +56 +35 -35 -56 -29")]
    [InlineData("ctrl+alt+h", "+97 +56 +35 -97 -35 -56")]
    [InlineData("ctrl+alt+h", "+35 +56 +97 -97 -35 -56")]
    [InlineData("f13", "+183 -183")]
    [InlineData("leftctrl+rightctrl", "+29 +97 -29 -97")]
    [InlineData("rightctrl rightctrl", "+97 -97 +97 -97")]
    [InlineData("ctrl ctrl", "+97 -97 +29 -29")]
    [InlineData("alt+shift alt+shift", "+56 +42 -42 -56 +42 +56 -42 -56")]
    [InlineData("f13 f13", "+183 -183 +183 -183")]
    public void Fires_when_all_keys_are_up(string chord, string keys)
    {
        Assert.Equal($"{chord}@{keys.Split(' ').Length}", Play([chord], keys));
    }

    [Theory]
    [InlineData("ctrl+alt+h", "+29 +56 +35 +30 -30 -35 -56 -29")]
    [InlineData("ctrl+alt+h", "+29 +56 -56 +35 -35 -29")]
    [InlineData("leftctrl+h", "+97 +35 -35 -97")]
    [InlineData("rightctrl rightctrl", "+97 -97")]
    [InlineData("rightctrl rightctrl", "+97 -97 +30 -30 +97 -97")]
    [InlineData("rightctrl rightctrl", "+97 +30 -30 -97 +97 -97")]
    [InlineData("rightctrl rightctrl", "+97 -97 +97 +30 -30 -97")]
    [InlineData("rightctrl rightctrl", "+97 -97 +29 -29")]
    [InlineData("rightctrl rightctrl", "+97 -97 ~400 +97 -97")]
    [InlineData("rightctrl rightctrl", "+97 ~401 -97 +97 -97")]
    [InlineData("rightctrl rightctrl", "+97 -97 +97 ~401 -97")]
    public void Does_not_fire(string chord, string keys) => Assert.Equal("", Play([chord], keys));

    [Fact]
    public void A_double_tap_just_in_time_fires() => Assert.Equal("rightctrl rightctrl@5", Play(["rightctrl rightctrl"], "+97 -97 ~397 +97 -97"));

    [Fact]
    public void Three_taps_are_one_double_tap_and_four_are_two()
    {
        Assert.Equal("rightctrl rightctrl@4", Play(["rightctrl rightctrl"], "+97 -97 +97 -97 +97 -97"));
        Assert.Equal("rightctrl rightctrl@4 rightctrl rightctrl@8", Play(["rightctrl rightctrl"], "+97 -97 +97 -97 +97 -97 +97 -97"));
    }

    [Fact]
    public void The_longer_of_two_chords_does_not_fire_the_shorter() =>
        Assert.Equal("ctrl+shift+h@6", Play(["ctrl+h", "ctrl+shift+h"], "+29 +35 +42 -42 -35 -29"));

    [Fact]
    public void A_key_that_was_down_for_long_counts_no_more() => Assert.Equal("ctrl+alt+h@8", Play(["ctrl+alt+h"], "+30 ~10001 +29 +56 +35 -35 -56 -29"));

    [Fact]
    public void A_chord_with_another_key_than_modifiers_stands_as_long_as_it_is_meant()
    {
        var recognizer = new ChordRecognizer([Chord.Parse("ctrl+alt+h"), Chord.Parse("ctrl+alt"), Chord.Parse("f13 f13")]);
        Assert.Equal([false, false, true, true, false, false, false], Standing(recognizer, (LeftCtrl, true), (LeftAlt, true), (H, true), (H, false), (A, true), (A, false), (LeftAlt, false)));
        _ = recognizer.Take(1, LeftCtrl, isDown: false, 0);
        Assert.Equal([false, false, true, false], Standing(recognizer, (F13, true), (F13, false), (F13, true), (F13, false)));
    }

    [Fact]
    public void Keys_of_two_keyboards_make_one_chord_and_one_that_leaves_fires_nothing()
    {
        var recognizer = new ChordRecognizer([Chord.Parse("ctrl+h")]);
        Assert.Null(recognizer.Take(1, LeftCtrl, isDown: true, 0));
        Assert.Null(recognizer.Take(2, H, isDown: true, 0));
        recognizer.Lose(2);
        Assert.Null(recognizer.Take(1, LeftCtrl, isDown: false, 0));
        Assert.Null(recognizer.Take(1, LeftCtrl, isDown: true, 0));
        Assert.Null(recognizer.Take(2, H, isDown: true, 0));
        Assert.Null(recognizer.Take(1, LeftCtrl, isDown: false, 0));
        Assert.Equal("ctrl+h", recognizer.Take(2, H, isDown: false, 0)?.ToString());
    }

    [Fact]
    public void More_keys_than_fingers_are_no_chord_and_break_nothing()
    {
        var recognizer = new ChordRecognizer([Chord.Parse("ctrl+h")]);
        for (ushort code = 1; code < 0x100; code++) Assert.Null(recognizer.Take(1, code, isDown: true, 0));
        for (ushort code = 1; code < 0x100; code++) Assert.Null(recognizer.Take(1, code, isDown: false, 0));
        Assert.Null(recognizer.Take(1, LeftCtrl, isDown: true, 0));
        Assert.Null(recognizer.Take(1, H, isDown: true, 0));
        Assert.Null(recognizer.Take(1, H, isDown: false, 0));
        Assert.Equal("ctrl+h", recognizer.Take(1, LeftCtrl, isDown: false, 0)?.ToString());
    }

    [Fact]
    public void It_only_fires_with_all_keys_up_and_only_what_was_pressed_alone() =>
        Gen.Select(Gen.Int[0, Codes.Length - 1], Gen.Int[0, 300]).Array[0, 80].Sample(presses =>
        {
            var recognizer = new ChordRecognizer([Chord.Parse("ctrl+alt+h"), Chord.Parse("ctrl+h"), Chord.Parse("rightctrl rightctrl")]);
            var (held, pressed, now) = (new HashSet<ushort>(), new HashSet<ushort>(), 0L);
            foreach (var (index, wait) in presses)
            {
                var code = Codes[index];
                now += wait;
                var isDown = held.Add(code);
                if (!isDown) held.Remove(code);
                if (isDown) pressed.Add(code);
                var fired = recognizer.Take(1, code, isDown, now);
                if (fired is not null && (held.Count > 0 || !pressed.All(one => fired.Keys.Any(key => key.Codes.Contains(one))) || !fired.Keys.All(key => key.Codes.Any(one => pressed.Contains((ushort)one)))))
                    return false;
                if (held.Count == 0) pressed.Clear();
            }

            return true;
        });

    private static bool[] Standing(ChordRecognizer recognizer, params (ushort Code, bool IsDown)[] keys) => [.. keys.Select(key =>
    {
        _ = recognizer.Take(1, key.Code, key.IsDown, 0);
        return recognizer.IsStanding;
    })];

    /// <summary>Plays <c>+code</c>, <c>-code</c> and <c>~milliseconds</c>; what fired, with the number of events until then.</summary>
    private static string Play(string[] chords, string keys)
    {
        var recognizer = new ChordRecognizer([.. chords.Select(Chord.Parse)]);
        var (now, fired, count) = (0L, new List<string>(), 0);
        foreach (var key in keys.Split(' '))
        {
            count++;
            now += key[0] == '~' ? int.Parse(key[1..]) : 1;
            if (key[0] != '~' && recognizer.Take(1, ushort.Parse(key[1..]), key[0] == '+', now) is { } chord) fired.Add($"{chord}@{count}");
        }

        return string.Join(' ', fired);
    }
}
