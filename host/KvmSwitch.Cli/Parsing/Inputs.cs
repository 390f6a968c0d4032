using System.CommandLine;
using System.CommandLine.Parsing;

namespace KvmSwitch.Cli.Parsing;

/// <summary>Arguments and options that several verbs share, each strict about what it takes.</summary>
internal static class Inputs
{
    public static Argument<string[]> Targets(ArgumentArity arity) => new("TARGET")
    {
        Description = "devices and sets, by the names that 'kvmswitch status' shows",
        Arity = arity,
        CustomParser = result => [.. result.Tokens.Select(token => Target(result, token.Value))],
    };

    public static Argument<string> Machine() => new("MACHINE")
    {
        Description = "the machine; may be left out when there is only one",
        Arity = ArgumentArity.ZeroOrOne,
        DefaultValueFactory = _ => "",
        CustomParser = result => Name(result, "MACHINE"),
    };

    public static Option<string> To() => new("--to")
    {
        Description = "who gets them; may be left out when there is only one machine",
        HelpName = "MACHINE",
        DefaultValueFactory = _ => "",
        CustomParser = result => Name(result, "--to"),
    };

    public static Option<TimeSpan?> Duration(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "TIME",
        CustomParser = result =>
        {
            if (DurationText.TryParse(result.Tokens[0].Value, out var value, out var error))
            {
                return value;
            }

            result.AddError($"{name}: {error}");
            return null;
        },
    };

    public static Option<bool> Force() =>
        new("--force") { Description = "also what is mounted, and the host's last keyboard" };

    public static Option<bool> Verbose() => new("--verbose", "-v") { Description = "print every step with its time" };

    public static string Name(ArgumentResult result, string what)
    {
        var text = result.Tokens[0].Value;
        if (string.IsNullOrWhiteSpace(text))
        {
            result.AddError($"{what} is empty");
        }

        return text;
    }

    private static string Target(ArgumentResult result, string text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            result.AddError("TARGET is empty");
        }
        else if (text is "to")
        {
            result.AddError("name the machine with --to, like this: kvmswitch give desk --to win");
        }

        return text;
    }
}
