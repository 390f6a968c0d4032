using CsCheck;
using KvmSwitch.Core;
using Xunit;

namespace KvmSwitch.Tests.Configuration;

public sealed class SpellingTests
{
    [Theory]
    [InlineData("memroy", "memory")]
    [InlineData("keybord", "keyboard")]
    [InlineData("Memory", "memory")]
    [InlineData("wim", "win")]
    [InlineData("cpu", "cpus")]
    [InlineData("xyz", null)]
    [InlineData("colour", null)]
    [InlineData("", null)]
    public void The_closest_word_is_found_unless_it_is_too_far(string word, string? expected) =>
        Assert.Equal(expected, Spelling.Closest(word, ["keyboard", "memory", "cpus", "win"]));

    [Fact]
    public void Without_candidates_nothing_is_suggested() => Assert.Equal("", Spelling.Hint("memory", []));

    [Fact]
    public void One_mistake_in_a_word_of_four_letters_is_always_forgiven() =>
        Gen.Select(Gen.Char['a', 'z'].Array[4, 12], Gen.Int[0, 3], Gen.Char['a', 'z']).Sample((letters, at, letter) =>
        {
            var word = new string(letters);
            string[] mistakes = [word.Remove(at, 1), word.Insert(at, letter.ToString()), word[..at] + letter + word[(at + 1)..]];
            return mistakes.All(mistake => Spelling.Closest(mistake, [word]) == word);
        });

    [Fact]
    public void Very_long_words_cost_nothing() => Assert.Null(Spelling.Closest(new('a', 1_000_000), [new('a', 1_000_000)]));
}
