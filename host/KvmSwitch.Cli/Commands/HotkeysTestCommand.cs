using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

internal sealed record HotkeysTestCommand : ICommand
{
    public static Verb Definition() => new("test", "Shows live which keys the daemon hears.")
    {
        Bind = _ => new HotkeysTestCommand(),
        Examples = ["sudo kvmswitch hotkeys test"],
        Remarks = "Needs root; Ctrl-C ends it. The hotkeys act meanwhile, as always.",
    };

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        var call = Call.Stream("hotkeys test", changes: false);
        session.Hint("Press keys; Ctrl-C ends it.");
        await foreach (var heard in session.StreamAsync(call, (client, options) => client.WatchKeys(new WatchKeysRequest(), options), cancellation))
        {
            if (session.Json) session.WriteJson(json => HeardKeysJson.Write(json, heard), line: true);
            else session.Write(Line(heard));
        }

        throw CallFailure.Lost(call);
    }

    private static string Line(HeardKeys heard)
    {
        var keys = heard.KeysDown.Count > 0 ? string.Join('+', heard.KeysDown.Select(Plain.Text)) : "(all up)";
        return $"{Plain.Text(heard.Keyboard)}: {keys}{(heard.Chord.Length > 0 ? $"   hotkey {Plain.Text(heard.Chord)}" : "")}\n";
    }
}
