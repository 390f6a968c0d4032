using System.CommandLine;
using System.Text;

namespace KvmSwitch.Cli.Parsing;

/// <summary>The help of one verb, as text of at most 80 columns.</summary>
internal static class HelpText
{
    public static string For(Verb verb)
    {
        var text = new StringBuilder();
        text.Append(verb.Description).Append("\n\n");
        Wrap(text, ["Usage:", .. Usage(verb)]);
        Section(text, "Arguments", verb.Arguments.Select(argument => (argument.Name, argument.Description)));
        Section(text, verb.Bind is null ? "Commands" : "", Commands(verb));
        Section(text, "Options", verb.Options.Except(GlobalOptions.All).Select(Row));
        Section(text, "Common options", GlobalOptions.All.Select(Row));
        if (verb.Examples.Count > 0)
        {
            text.Append("\nExamples:\n").AppendJoin("", verb.Examples.Select(example => $"  {example}\n"));
        }

        return verb.Remarks.Length > 0 ? text.Append('\n').Append(verb.Remarks).Append('\n').ToString() : text.ToString();
    }

    private static IEnumerable<string> Usage(Verb verb)
    {
        var arguments = verb.Arguments.Select(argument => (argument.Arity.MinimumNumberOfValues, argument.Arity.MaximumNumberOfValues) switch
        {
            (0, 1) => $"[{argument.Name}]",
            (0, _) => $"[{argument.Name}...]",
            (_, 1) => argument.Name,
            _ => $"{argument.Name}...",
        });
        var options = verb.Options.Except(GlobalOptions.All).Select(option => $"[{Label(option)}]");
        return verb.Bind is null ? [verb.Path, "COMMAND"] : [verb.Path, .. arguments, .. options];
    }

    /// <summary>The words, on further lines below the second one where they don't fit.</summary>
    private static void Wrap(StringBuilder text, IReadOnlyList<string> words)
    {
        const int Columns = 80;
        var column = 0;
        foreach (var word in words)
        {
            if (column > 0 && column + 1 + word.Length > Columns)
            {
                text.Append('\n').Append(' ', words[0].Length);
                column = words[0].Length;
            }

            if (column > 0) text.Append(' ');
            text.Append(word);
            column += word.Length + 1;
        }

        text.Append('\n');
    }

    private static IEnumerable<(string, string?)> Commands(Verb verb) =>
        from Verb command in verb.Subcommands
        where !command.Hidden
        from leaf in command.Bind is null ? command.Subcommands.Cast<Verb>() : [command]
        select (leaf.Path[(verb.Path.Length + 1)..], leaf.Description);

    private static (string, string?) Row(Option option) =>
        (string.Concat(option.Aliases.Select(alias => alias + ", ")) + Label(option), option.Description);

    private static string Label(Option option) => option.HelpName is { } value ? $"{option.Name} {value}" : option.Name;

    private static void Section(StringBuilder text, string title, IEnumerable<(string Name, string? Description)> rows)
    {
        var all = rows.ToList();
        if (all.Count > 0)
        {
            var width = all.Max(row => row.Name.Length);
            text.Append('\n').Append(title).Append(":\n").AppendJoin("", all.Select(row => $"  {row.Name.PadRight(width)}  {row.Description}\n"));
        }
    }
}
