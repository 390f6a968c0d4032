using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record GuestPairCommand(string Machine, TimeSpan? Lifetime) : ICommand
{
    public static Verb Definition()
    {
        var machine = Inputs.Machine();
        var lifetime = Inputs.Duration("--for", "how long the code is good for, at most 1h; 10m when left out");
        return new Verb("pair", "Makes a code that lets the agent in a guest join, once.")
        {
            Bind = parsed => new GuestPairCommand(parsed.GetValue(machine)!, parsed.GetValue(lifetime)),
            Examples = ["kvmswitch guest pair", "kvmswitch guest pair win --for 30m"],
            Arguments = { machine },
            Options = { lifetime },
        };
    }

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new PairGuestRequest { Machine = Machine, Lifetime = Lifetime?.ToDuration() };
        var code = await session.AskAsync(
            Call.Question("guest pair"), (client, options) => client.PairGuestAsync(request, options), cancellation);
        if (session.Json)
        {
            session.WriteJson(json => GuestJson.Write(json, code));
        }
        else
        {
            session.Write(GuestText.Render(code, session.Around.Time.GetUtcNow()));
        }

        return ExitCode.Done;
    }
}
