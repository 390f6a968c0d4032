using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record GuestToolsCommand(string Machine, TimeSpan? Lifetime, bool Remove) : ICommand
{
    public string WhenInterrupted => "interrupted; 'kvmswitch guest tools --remove' makes sure that no disc is left";

    public static Verb Definition()
    {
        var machine = Inputs.Machine();
        var lifetime = Inputs.Duration("--for", "how long it stays and its code is good; at most 10m");
        lifetime.Aliases.Add("--lifetime");
        var remove = new System.CommandLine.Option<bool>("--remove") { Description = "takes the disc away at once" };
        var verb = new Verb("tools", "Shows a guest a disc that installs and pairs the agent.")
        {
            Bind = parsed => new GuestToolsCommand(parsed.GetValue(machine)!, parsed.GetValue(lifetime), parsed.GetValue(remove)),
            Examples = ["kvmswitch guest tools", "kvmswitch guest tools win --for 5m", "kvmswitch guest tools win --remove"],
            Remarks = "The disc goes away by itself when the guest has paired with it, and when its\ntime is over.",
            Arguments = { machine },
            Options = { lifetime, remove },
        };
        verb.Validators.Add(result =>
        {
            if (result.GetValue(remove) && result.GetResult(lifetime) is { Implicit: false }) result.AddError("--remove and --for exclude each other");
        });
        return verb;
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation) =>
        Remove ? RemoveAsync(session, cancellation) : ShowAsync(session, cancellation);

    private async Task<ExitCode> ShowAsync(Session session, CancellationToken cancellation)
    {
        var request = new ShowGuestToolsRequest { Machine = Machine, Lifetime = Lifetime?.ToDuration() };
        GuestToolsDisc disc;
        using (new WaitingLine(session.Around, "guest tools"))
        {
            disc = await session.AskAsync(Call.Change("guest tools"), (client, options) => client.ShowGuestToolsAsync(request, options), cancellation);
        }

        if (session.Json)
        {
            session.WriteJson(json => GuestJson.Write(json, disc));
        }
        else
        {
            session.Write(GuestText.Render(disc, session.Around.Time.GetUtcNow()));
        }

        return ExitCode.Done;
    }

    private async Task<ExitCode> RemoveAsync(Session session, CancellationToken cancellation)
    {
        var request = new MachineRequest { Machine = Machine };
        var reply = await session.AskAsync(
            Call.Change("guest tools"), (client, options) => client.RemoveGuestToolsAsync(request, options), cancellation);
        if (session.Json)
        {
            session.WriteJson(json => GuestJson.Write(json, reply));
        }
        else
        {
            session.Write(reply.Removed ? "the disc is gone, and its code is void\n" : "there was no disc\n");
        }

        return ExitCode.Done;
    }
}
