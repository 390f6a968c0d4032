using System.CommandLine;
using KvmSwitch.Cli.Commands;

namespace KvmSwitch.Cli.Parsing;

/// <summary>A word of the command line, with what it takes and what it becomes. A group (<c>vm</c>) has no <see cref="Bind"/>.</summary>
internal sealed class Verb(string name, string description) : Command(name, description)
{
    public Func<ParseResult, ICommand>? Bind { get; init; }

    public IReadOnlyList<string> Examples { get; init; } = [];

    /// <summary>A last word for the help text, where one is needed.</summary>
    public string Remarks { get; init; } = "";

    /// <summary>As it is typed: <c>kvmswitch vm start</c>.</summary>
    public string Path => Parents.OfType<Verb>().FirstOrDefault() is { } parent ? $"{parent.Path} {Name}" : Name;
}
