using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Block;

public sealed class DiscMemoryTests
{
    /// <summary>Each look: E empty, O tray open, L loading, ? unknown, a letter a disc at home, * a disc that can't be told from others; ! behind it: lent. News: + came in, - left.</summary>
    [Theory]
    [InlineData("a", "+")]
    [InlineData("E", " ")]
    [InlineData("E a", " +")]
    [InlineData("a a a", "+  ")]
    [InlineData("E L a", "  +")]
    [InlineData("a L a", "+  ")]
    [InlineData("a ? a", "+  ")]
    [InlineData("a O a", "+ +")]
    [InlineData("a b c", "+++")]
    [InlineData("a * b", "+ +")]
    [InlineData("* *", "+ ")]
    [InlineData("a a! a! a", "+   ")]
    [InlineData("a a! *! a", "+   ")]
    [InlineData("a a! E! E! E", "+ -- ")]
    [InlineData("a a! O! b b! O! c c! O! d", "+ -+ -+ -+")]
    [InlineData("a a! b", "+ +")]
    [InlineData("a! a", "  ")]
    [InlineData("E! a", "-+")]
    public void News_are_of_other_discs_at_home_and_of_missing_ones_when_lent(string looks, string expected)
    {
        var memory = DiscMemory.Nothing;
        var news = "";
        foreach (var text in looks.Split(' '))
        {
            (memory, var told) = memory.See(Look(text));
            news += told switch { DiscNews.CameIn => '+', DiscNews.Left => '-', _ => ' ' };
        }

        Assert.Equal(expected, news);
    }

    private static DiscLook Look(string text) => new(
        text[0] switch { 'E' => DiscState.None, 'O' => DiscState.TrayOpen, 'L' => DiscState.NotReady, '?' => DiscState.Unknown, _ => DiscState.Present },
        text.EndsWith('!'),
        text[0] is '*' || text.EndsWith('!') ? null : $"{text[0]}");
}
