using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record VmStartCommand(string Machine) : ICommand
{
    public string WhenInterrupted => Calls.LookAfterwards;

    public static Verb Definition()
    {
        var machine = Inputs.Machine();
        return new Verb("start", "Starts a machine, and tells what happens until it runs.")
        {
            Bind = parsed => new VmStartCommand(parsed.GetValue(machine)!),
            Examples = ["kvmswitch vm start", "kvmswitch vm start win"],
            Arguments = { machine },
        };
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation) => session.FollowAsync(
        "vm start", (client, options) => client.StartMachine(new MachineRequest { Machine = Machine }, options), cancellation);
}
