using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record GuestListCommand : ICommand
{
    public static Verb Definition() => new("list", "Lists the guests that were paired.")
    {
        Bind = _ => new GuestListCommand(),
        Examples = ["kvmswitch guest list"],
    };

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var list = await session.AskAsync(
            Call.Question("guest list"), (client, options) => client.ListGuestsAsync(new ListGuestsRequest(), options), cancellation);
        if (session.Json)
        {
            session.WriteJson(json => GuestJson.Write(json, list));
        }
        else if (list.Guests.Count == 0)
        {
            session.Hint("no guest is paired yet: 'kvmswitch guest pair' makes a code for one");
        }
        else
        {
            session.Write(GuestText.Render(list.Guests, session.Layout, session.Around.Time.LocalTimeZone));
        }

        return ExitCode.Done;
    }
}
