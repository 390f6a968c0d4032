using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Cli.Commands;

internal sealed record VmListCommand : ICommand
{
    public static Verb Definition() => new("list", "Lists the machines.")
    {
        Bind = _ => new VmListCommand(),
        Examples = ["kvmswitch vm list", "kvmswitch vm list --json | jq -r '.machines[].name'"],
    };

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var state = await session.GetStateAsync(Call.Question("vm list"), cancellation);
        if (session.Json)
        {
            session.WriteJson(json => StateJson.Machines(json, state));
        }
        else if (state.Machines.Count == 0)
        {
            session.Hint("no machine is configured yet: describe one in /etc/kvmswitch/kvmswitch.toml");
        }
        else
        {
            session.Write(StateText.Machines(state.Machines).Render(session.Layout));
        }

        return ExitCode.Done;
    }
}
