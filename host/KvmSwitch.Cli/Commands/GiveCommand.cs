using System.CommandLine;
using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record GiveCommand(IReadOnlyList<string> Targets, string Machine, TimeSpan? TimeLimit, bool Force, bool Steps) : ICommand
{
    public string WhenInterrupted => Calls.LookAfterwards;

    public static Verb Definition()
    {
        var targets = Inputs.Targets(ArgumentArity.OneOrMore);
        var to = Inputs.To();
        var limit = Inputs.Duration("--for", "take them back after this time, like 90s, 2m or 1h30m");
        var force = Inputs.Force();
        var verbose = Inputs.Verbose();
        return new Verb("give", "Hands devices over to a machine: all arrive, or none moves.")
        {
            Bind = parsed => new GiveCommand(
                parsed.GetValue(targets)!, parsed.GetValue(to)!, parsed.GetValue(limit), parsed.GetValue(force), parsed.GetValue(verbose)),
            Examples = ["kvmswitch give desk", "kvmswitch give keyboard audio --to win", "kvmswitch give keyboard --for 2m"],
            Remarks = "Without a live agent in the guest, a keyboard or mouse needs --for: use it for\nfirmware and boot menus.",
            Arguments = { targets },
            Options = { to, limit, force, verbose },
        };
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new GiveRequest { Targets = { Targets }, Machine = Machine, TimeLimit = TimeLimit?.ToDuration(), Force = Force, Gesture = "cli" };
        return session.MoveAsync(
            ("give", string.Join(", ", Targets)), (client, options) => client.GiveAsync(request, options), Steps, cancellation);
    }
}
