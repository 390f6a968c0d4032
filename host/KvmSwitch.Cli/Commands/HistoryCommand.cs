using System.CommandLine;
using System.Globalization;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record HistoryCommand(uint Limit) : ICommand
{
    private const uint Usual = 20;
    private const uint Most = 10_000;

    public static Verb Definition()
    {
        var limit = new Option<uint>("--limit", "-n")
        {
            Description = $"how many, the newest ones; {Usual} when left out",
            HelpName = "N",
            DefaultValueFactory = _ => Usual,
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                if (!uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) || value is 0 or > Most)
                {
                    result.AddError($"--limit: '{text}' is not a number from 1 to {Most}");
                }

                return value;
            },
        };
        return new Verb("history", "Lists finished handoffs, the newest last.")
        {
            Bind = parsed => new HistoryCommand(parsed.GetValue(limit)),
            Examples = ["kvmswitch history --limit 50", "kvmswitch history --json | jq '.handoffs[-1].steps'"],
            Options = { limit },
        };
    }

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var request = new HistoryRequest { Limit = Limit };
        var history = await session.AskAsync(
            Call.Question("history"), (client, options) => client.GetHistoryAsync(request, options), cancellation);
        if (session.Json)
        {
            session.WriteJson(json => HandoffJson.History(json, history.Handoffs));
        }
        else if (history.Handoffs.Count == 0)
        {
            session.Hint("no handoffs yet");
        }
        else
        {
            session.Write(HandoffText.History(history.Handoffs, session.Layout, session.Around.Time.LocalTimeZone));
        }

        return ExitCode.Done;
    }
}
