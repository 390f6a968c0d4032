using KvmSwitch.Agent.Windows.Tray;
using Xunit;

namespace KvmSwitch.Tests.Agent.Windows;

public sealed class IconArtTests
{
    private static readonly int[] Sizes = [16, 20, 24, 32, 40, 48];

    public static TheoryData<int, bool> Icons() => new(Sizes.SelectMany(size => new[] { (size, true), (size, false) }));

    [Theory]
    [MemberData(nameof(Icons))]
    public void The_looks_differ_in_shape_and_not_in_colour_alone(int size, bool onLight)
    {
        var shapes = Enum.GetValues<Look>().Select(look => IconArt.Draw(look, onLight, size).Select(pixel => pixel >> 24 > 100).ToArray()).ToArray();
        for (var one = 0; one < shapes.Length; one++)
        {
            for (var other = one + 1; other < shapes.Length; other++)
            {
                var different = shapes[one].Zip(shapes[other]).Count(pair => pair.First != pair.Second);
                Assert.True(different > size * size / 20, $"{(Look)one} and {(Look)other} differ in {different} pixels of {size * size}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Icons))]
    public void The_keyboard_is_the_same_on_its_left_and_on_its_right(int size, bool onLight)
    {
        foreach (var look in (Look[])[Look.KeyboardHere, Look.KeyboardAtHost])
        {
            var pixels = IconArt.Draw(look, onLight, size);
            for (var y = 0; y < size; y++)
                Assert.Equal(pixels.AsSpan(y * size, size).ToArray(), pixels.AsSpan(y * size, size).ToArray().Reverse());
        }
    }

    [Theory]
    [MemberData(nameof(Icons))]
    public void It_stands_out_from_the_taskbar(int size, bool onLight)
    {
        var taskbar = onLight ? 240 : 30;
        foreach (var look in Enum.GetValues<Look>())
            Assert.Contains(IconArt.Draw(look, onLight, size), pixel => Math.Abs(Brightness(pixel, taskbar) - taskbar) > 90);
    }

    [Fact]
    public void Any_other_size_can_be_drawn_too()
    {
        for (var size = 8; size <= 96; size++)
            Assert.Equal(size * size, IconArt.Draw(Look.CutOff, onLight: false, size).Length);
    }

    private static double Brightness(uint pixel, int below)
    {
        var alpha = (pixel >> 24) / 255.0;
        var own = (((pixel >> 16) & 255) * 0.3) + (((pixel >> 8) & 255) * 0.6) + ((pixel & 255) * 0.1);
        return (own * alpha) + (below * (1 - alpha));
    }
}
