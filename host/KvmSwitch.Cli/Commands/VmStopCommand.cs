using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record VmStopCommand(string Machine, TimeSpan? Timeout) : ICommand
{
    public string WhenInterrupted => Calls.LookAfterwards;

    public static Verb Definition()
    {
        var machine = Inputs.Machine();
        var timeout = Inputs.Duration("--timeout", "how long the guest may take before QEMU is told to quit");
        return new Verb("stop", "Shuts a machine down; the devices that it holds come home.")
        {
            Bind = parsed => new VmStopCommand(parsed.GetValue(machine)!, parsed.GetValue(timeout)),
            Examples = ["kvmswitch vm stop", "kvmswitch vm stop win --timeout 2m"],
            Arguments = { machine },
            Options = { timeout },
        };
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new StopMachineRequest { Machine = Machine, Timeout = Timeout?.ToDuration() };
        return session.FollowAsync("vm stop", (client, options) => client.StopMachine(request, options), cancellation);
    }
}
