using System.Text.RegularExpressions;
using KvmSwitch.Agent.Windows.Tray;
using Xunit;

namespace KvmSwitch.Tests.Agent.Windows;

public sealed partial class TextsTests
{
    [Fact]
    public void There_are_English_and_Japanese() => Assert.Equal(["en", "ja"], Texts.Languages);

    [Theory]
    [MemberData(nameof(EachLanguage))]
    public void Every_language_has_every_text_and_no_other(string language)
    {
        var texts = Texts.Load(language);
        Assert.Equal(language, texts.Language);
        Assert.Equal(Enum.GetNames<TextKey>().Order(StringComparer.Ordinal), texts.Keys.Order(StringComparer.Ordinal));
        Assert.All(Enum.GetValues<TextKey>(), key => Assert.False(string.IsNullOrWhiteSpace(texts[key])));
    }

    [Theory]
    [MemberData(nameof(EachLanguage))]
    public void Every_language_fills_in_the_same_blanks(string language)
    {
        var (english, other) = (Texts.Load("en"), Texts.Load(language));
        Assert.All(Enum.GetValues<TextKey>(), key => Assert.Equal(Blanks(english[key]), Blanks(other[key])));
    }

    [Theory]
    [MemberData(nameof(EachLanguage))]
    public void What_goes_into_a_balloon_fits_there(string language)
    {
        var texts = Texts.Load(language);
        Assert.All(Enum.GetValues<TextKey>().Where(key => key.ToString().EndsWith("Text", StringComparison.Ordinal) || key == TextKey.StartFailedDenied), key => Assert.InRange(texts[key].Length, 1, 255));
        Assert.All(Enum.GetValues<TextKey>().Where(key => key.ToString().EndsWith("Title", StringComparison.Ordinal)), key => Assert.InRange(texts[key].Length, 1, 63));
    }

    [Theory]
    [InlineData(0x0411, "ja")]
    [InlineData(0x0409, "en")]
    [InlineData(0x0407, "en")]
    [InlineData(0, "en")]
    public void The_language_follows_that_of_Windows(int languageId, string language) => Assert.Equal(language, Texts.LanguageOf((ushort)languageId));

    [Fact]
    public void An_unknown_language_is_English() => Assert.Equal("en", Texts.Load("tlh").Language);

    public static TheoryData<string> EachLanguage() => [.. Texts.Languages];

    private static IEnumerable<string> Blanks(string text) => Blank().Matches(text).Select(match => match.Value).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);

    [GeneratedRegex(@"\{\d\}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Blank();
}
