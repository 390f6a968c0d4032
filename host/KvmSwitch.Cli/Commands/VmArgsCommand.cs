using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record VmArgsCommand(string Machine) : ICommand
{
    public static Verb Definition()
    {
        var machine = Inputs.Machine();
        return new Verb("args", "Prints the QEMU command line of a machine, without starting it.")
        {
            Bind = parsed => new VmArgsCommand(parsed.GetValue(machine)!),
            Examples = ["kvmswitch vm args win", "kvmswitch vm args win --json | jq -r '.arguments[]'"],
            Arguments = { machine },
        };
    }

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new MachineRequest { Machine = Machine };
        var arguments = await session.AskAsync(
            Call.Question("vm args"), (client, options) => client.GetMachineArgumentsAsync(request, options), cancellation);
        if (session.Json)
        {
            session.WriteJson(json => MachineJson.Write(json, arguments));
        }
        else
        {
            session.Write(ShellText.Render(arguments));
        }

        return ExitCode.Done;
    }
}
