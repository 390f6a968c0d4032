using System.CommandLine;
using System.CommandLine.Parsing;

namespace KvmSwitch.Cli.Parsing;

/// <summary>The first thing that is wrong with a command line, in one sentence.</summary>
internal static class UsageError
{
    public static string? Find(ParseResult parsed, Verb verb)
    {
        var strayOption = parsed.UnmatchedTokens.Concat(ArgumentWords(parsed)).FirstOrDefault(word => word.Length > 1 && word[0] == '-');
        if (strayOption is not null)
        {
            var name = strayOption.Split('=')[0];
            return $"'{verb.Path}' has no option '{name}'{Suggestion.For(name, OptionNames(verb))}";
        }

        if (verb.Bind is null)
        {
            return MissingVerb(verb, parsed.UnmatchedTokens);
        }

        if (parsed.UnmatchedTokens.Count > 0)
        {
            var word = parsed.UnmatchedTokens[0];
            return word is "to" ? "name the machine with --to" : $"'{word}' is one word too many for '{verb.Path}'";
        }

        return parsed.Errors.Count > 0 ? Describe(parsed.Errors[0], verb) : null;
    }

    private static IEnumerable<string> ArgumentWords(ParseResult parsed) =>
        parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Select(token => token.Value);

    private static IEnumerable<string> OptionNames(Verb verb) =>
        verb.Options.Concat(GlobalOptions.All).SelectMany(option => option.Aliases.Append(option.Name));

    private static string MissingVerb(Verb verb, IReadOnlyList<string> unmatched)
    {
        var known = verb.Subcommands.Where(command => !command.Hidden).Select(command => command.Name).ToList();
        return unmatched.Count > 0
            ? $"'{verb.Path}' has no verb '{unmatched[0]}'{Suggestion.For(unmatched[0], known)}"
            : $"'{verb.Path}' needs a verb: {string.Join(", ", known)}";
    }

    private static string Describe(ParseError error, Verb verb) => error.SymbolResult switch
    {
        OptionResult { Tokens.Count: 0 } option when option.Option.HelpName is { } value => $"{option.Option.Name} needs a value: {option.Option.Name} {value}",
        OptionResult { IdentifierTokenCount: > 1 } option => $"{option.Option.Name} is given {option.IdentifierTokenCount} times, and once is enough",
        ArgumentResult { Tokens.Count: 0, Argument.Name: var name, Parent: CommandResult } => $"'{verb.Path}' needs a {name}",
        _ => error.Message,
    };
}
