using System.CommandLine;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record GuestRevokeCommand(string Guest) : ICommand
{
    public string WhenInterrupted => "interrupted; 'kvmswitch guest list' shows whether it is revoked";

    public static Verb Definition()
    {
        var guest = new Argument<string>("GUEST")
        {
            Description = "an id that 'kvmswitch guest list' shows, or a machine: all its guests",
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result => Inputs.Name(result, "GUEST"),
        };
        return new Verb("revoke", "Shuts a guest out for good; what it holds comes home.")
        {
            Bind = parsed => new GuestRevokeCommand(parsed.GetValue(guest)!),
            Examples = ["kvmswitch guest revoke 3f09a1", "kvmswitch guest revoke win"],
            Arguments = { guest },
        };
    }

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new RevokeGuestRequest { Guest = Guest };
        var reply = await session.AskAsync(
            Call.Change("guest revoke"), (client, options) => client.RevokeGuestAsync(request, options), cancellation);
        if (reply.Revoked.Count == 0)
        {
            throw new CliException(ExitCode.Failed, $"no paired guest is called '{Guest}': 'kvmswitch guest list' shows them");
        }

        if (session.Json)
        {
            session.WriteJson(json => GuestJson.Write(json, reply));
        }
        else
        {
            session.Write(string.Concat(reply.Revoked.Select(id => $"revoked {Plain.Text(id)}\n")));
        }

        return ExitCode.Done;
    }
}
