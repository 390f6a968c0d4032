using System.CommandLine;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record ToggleCommand(IReadOnlyList<string> Targets, string Machine, bool Steps) : ICommand
{
    public string WhenInterrupted => Calls.LookAfterwards;

    public static Verb Definition()
    {
        var targets = Inputs.Targets(ArgumentArity.OneOrMore);
        var to = Inputs.To();
        var verbose = Inputs.Verbose();
        return new Verb("toggle", "Gives devices that are home, and takes devices that are away.")
        {
            Bind = parsed => new ToggleCommand(parsed.GetValue(targets)!, parsed.GetValue(to)!, parsed.GetValue(verbose)),
            Examples = ["kvmswitch toggle desk", "kvmswitch toggle desk --to win"],
            Arguments = { targets },
            Options = { to, verbose },
        };
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new GiveRequest { Targets = { Targets }, Machine = Machine, Gesture = "cli" };
        return session.MoveAsync(
            ("toggle", string.Join(", ", Targets)), (client, options) => client.ToggleAsync(request, options), Steps, cancellation);
    }
}
