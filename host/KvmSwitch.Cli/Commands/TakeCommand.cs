using System.CommandLine;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record TakeCommand(IReadOnlyList<string> Targets, bool All, bool Steps) : ICommand
{
    public string WhenInterrupted => Calls.LookAfterwards;

    public static Verb Definition()
    {
        var targets = Inputs.Targets(ArgumentArity.ZeroOrMore);
        var all = new Option<bool>("--all") { Description = "every device that is away" };
        var verbose = Inputs.Verbose();
        var verb = new Verb("take", "Brings devices home, from whichever machine has them.")
        {
            Bind = parsed => new TakeCommand(parsed.GetValue(targets) ?? [], parsed.GetValue(all), parsed.GetValue(verbose)),
            Examples = ["kvmswitch take desk", "kvmswitch take --all"],
            Arguments = { targets },
            Options = { all, verbose },
        };
        verb.Validators.Add(result =>
        {
            if (result.GetValue(all) == (result.GetResult(targets)?.Tokens.Count > 0))
            {
                result.AddError("'kvmswitch take' needs either a TARGET or --all");
            }
        });
        return verb;
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new TakeRequest { Targets = { Targets }, All = All, Gesture = "cli" };
        var what = All ? "everything" : string.Join(", ", Targets);
        return session.MoveAsync(("take", what), (client, options) => client.TakeAsync(request, options), Steps, cancellation);
    }
}
