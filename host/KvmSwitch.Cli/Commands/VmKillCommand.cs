using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record VmKillCommand(string Machine) : ICommand
{
    public string WhenInterrupted => Calls.LookAfterwards;

    public static Verb Definition()
    {
        var machine = Inputs.Machine();
        return new Verb("kill", "Ends a machine at once, like pulling its plug.")
        {
            Bind = parsed => new VmKillCommand(parsed.GetValue(machine)!),
            Examples = ["kvmswitch vm kill win"],
            Remarks = "The guest can save nothing: 'kvmswitch vm stop' is the gentle way.",
            Arguments = { machine },
        };
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation) => session.FollowAsync(
        "vm kill", (client, options) => client.KillMachine(new MachineRequest { Machine = Machine }, options), cancellation);
}
