using System.CommandLine;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record StatusCommand(bool Watch) : ICommand
{
    private const string OwnScreen = "\e[?1049h";
    private const string LeaveScreen = "\e[?1049l";
    private const string Clear = "\e[H\e[2J";

    // The terminal's own screen must be put back.
    public bool MindsInterruption => Watch;

    public static Verb Definition()
    {
        var watch = new Option<bool>("--watch") { Description = "go on, and show every change; Ctrl-C ends it" };
        return new Verb("status", "Shows the machines, the devices and where each one is.")
        {
            Bind = parsed => new StatusCommand(parsed.GetValue(watch)),
            Examples = ["kvmswitch status", "kvmswitch status --watch", "kvmswitch status --json | jq '.devices[] | {name, placement}'"],
            Options = { watch },
        };
    }

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        if (Watch)
        {
            return await WatchAsync(session, cancellation);
        }

        Show(session, await session.GetStateAsync(Call.Question("status"), cancellation), line: false);
        return ExitCode.Done;
    }

    private static async Task<ExitCode> WatchAsync(Session session, CancellationToken cancellation)
    {
        var call = Call.Stream("status --watch", changes: false);
        var ownScreen = session.Around.OutIsTerminal && !session.Json;
        State? last = null;
        try
        {
            await foreach (var state in session.StreamAsync(call, (client, options) => client.WatchStateAsync(options), cancellation))
            {
                session.Write(Before(ownScreen, first: last is null, session.Json));
                Show(session, state, line: true);
                last = state;
            }
        }
        finally
        {
            if (ownScreen && last is not null)
            {
                session.Write(LeaveScreen);
                Show(session, last, line: true);
            }
        }

        throw CallFailure.Lost(call);
    }

    private static string Before(bool ownScreen, bool first, bool json) => (ownScreen, first, json) switch
    {
        (true, true, _) => OwnScreen + Clear,
        (true, false, _) => Clear,
        (false, false, false) => "\n",
        _ => "",
    };

    private static void Show(Session session, State state, bool line)
    {
        if (session.Json)
        {
            session.WriteJson(json => StateJson.Write(json, state), line);
            return;
        }

        var text = StateText.Render(state, session.Layout, session.Around.Time);
        session.Write(text);
        if (text.Length == 0)
        {
            session.Hint(StateText.NothingConfigured);
        }
    }
}
