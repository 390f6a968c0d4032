using CsCheck;
using KvmSwitch.Cli.Parsing;
using Xunit;

namespace KvmSwitch.Tests.Cli;

public sealed class DurationTextTests
{
    [Theory]
    [InlineData("90s", 90)]
    [InlineData("2m", 120)]
    [InlineData("1h30m", 5400)]
    [InlineData("1h1s", 3601)]
    [InlineData("168h", 604800)]
    public void Times_are_read_as_people_write_them(string text, int seconds)
    {
        Assert.True(DurationText.TryParse(text, out var value, out var error), error);
        Assert.Equal(TimeSpan.FromSeconds(seconds), value);
    }

    [Theory]
    [InlineData("", "a time is missing: write it like 90s, 2m or 1h30m")]
    [InlineData("90", "'90' lacks a unit: write it like 90s, 2m or 1h30m")]
    [InlineData("1h30", "'1h30' lacks a unit: write it like 90s, 2m or 1h30m")]
    [InlineData("0s", "'0s' is no time at all: write it like 90s, 2m or 1h30m")]
    [InlineData("-2m", "'-2m' is not a time: write it like 90s, 2m or 1h30m")]
    [InlineData("1.5h", "'1.5h' is not a time: write it like 90s, 2m or 1h30m")]
    [InlineData("30m1h", "'30m1h' is not a time: write it like 90s, 2m or 1h30m")]
    [InlineData("1m1m", "'1m1m' is not a time: write it like 90s, 2m or 1h30m")]
    [InlineData("2 m", "'2 m' is not a time: write it like 90s, 2m or 1h30m")]
    [InlineData("5d", "'5d' is not a time: write it like 90s, 2m or 1h30m")]
    [InlineData("99999999999999999999s", "'99999999999999999999s' is not a time: write it like 90s, 2m or 1h30m")]
    [InlineData("169h", "'169h' is longer than 7 days (168h)")]
    public void Anything_else_is_explained(string text, string expected)
    {
        Assert.False(DurationText.TryParse(text, out _, out var error));
        Assert.Equal(expected, error);
    }

    [Fact]
    public void What_is_written_reads_back() => Gen.Int[1, 7 * 24 * 3600].Sample(seconds =>
        DurationText.TryParse(DurationText.Format(TimeSpan.FromSeconds(seconds)), out var value, out _) && value == TimeSpan.FromSeconds(seconds));

    [Fact]
    public void No_text_crashes_the_parser() => Gen.String.Sample(text => DurationText.TryParse(text, out _, out var error) == (error.Length == 0));
}
