using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record VmRestartCommand(string Machine, TimeSpan? Timeout) : ICommand
{
    public string WhenInterrupted => Calls.LookAfterwards;

    public static Verb Definition()
    {
        var machine = Inputs.Machine();
        var timeout = Inputs.Duration("--timeout", "how long the guest may take before QEMU is told to quit");
        return new Verb("restart", "Shuts a machine down and starts it again.")
        {
            Bind = parsed => new VmRestartCommand(parsed.GetValue(machine)!, parsed.GetValue(timeout)),
            Examples = ["kvmswitch vm restart", "kvmswitch vm restart win --timeout 2m"],
            Remarks = "The devices that it holds come home and stay there: give them again when the\nguest is up.",
            Arguments = { machine },
            Options = { timeout },
        };
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new StopMachineRequest { Machine = Machine, Timeout = Timeout?.ToDuration() };
        return session.FollowAsync("vm restart", (client, options) => client.RestartMachine(request, options), cancellation);
    }
}
