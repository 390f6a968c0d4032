using System.CommandLine;
using System.Runtime.Versioning;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>The verbs of a user's session on Windows: they ask the service and need no administrator.</summary>
[SupportedOSPlatform("windows")]
internal static class SessionCommands
{
    private static readonly ServiceEdges Edges = new(ServiceConnection.OpenAsync, () => WindowsServiceControl.Health, TimeProvider.System);

    public static IEnumerable<Command> Create() => [Give(), Take(), Status(), DoctorCommand(), Tray()];

    private static Command Give()
    {
        var names = new Argument<string[]>("NAME") { Description = "Devices and sets. Without a name: everything that is here.", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("give", "Give devices back to the host. (To get them here: take.)") { names };
        command.SetAction((parsed, stop) => Root.GuardedAsync(async () =>
        {
            var targets = parsed.GetRequiredValue(names);
            await ServiceRequest.AskAsync(PipeVerb.Return, targets, Edges, stop);
            await Console.Out.WriteLineAsync(targets.Length == 0 ? "Gave everything back to the host." : $"Gave back to the host: {string.Join(", ", targets)}.");
        }));
        return command;
    }

    private static Command Take()
    {
        var names = new Argument<string[]>("NAME") { Description = "Devices and sets that the host lets this machine ask for.", Arity = ArgumentArity.OneOrMore };
        var command = new Command("take", "Ask the host for devices, so that they come here. (To give them back: give.)") { names };
        command.SetAction((parsed, stop) => Root.GuardedAsync(async () =>
        {
            var targets = parsed.GetRequiredValue(names);
            await ServiceRequest.AskAsync(PipeVerb.Request, targets, Edges, stop);
            await Console.Out.WriteLineAsync($"Here now: {string.Join(", ", targets)}.");
        }));
        return command;
    }

    private static Command Status()
    {
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Command("status", "Tell which machine this is, how the link to the host is, and which devices are here.") { json };
        command.SetAction((parsed, stop) => Root.GuardedAsync(async () =>
        {
            var state = await ServiceRequest.StateAsync(Edges, stop);
            await Console.Out.WriteLineAsync(parsed.GetValue(json) ? StateText.Json(state) : StateText.Of(state));
        }));
        return command;
    }

    private static Command DoctorCommand()
    {
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var state = Root.StateOption();
        var command = new Command("doctor", "Check each link of the chain from here to the host, and tell what to do about each that is broken.") { json, state };
        command.SetAction(async (parsed, stop) =>
        {
            var checks = Doctor.Examine(await WindowsFindings.CollectAsync(Edges, parsed.GetRequiredValue(state), stop));
            await Console.Out.WriteLineAsync(parsed.GetValue(json) ? DoctorText.Json(checks) : DoctorText.Of(checks));
            return checks.Any(check => check.Outcome == CheckOutcome.Broken) ? 1 : 0;
        });
        return command;
    }

    private static Command Tray()
    {
        var language = new Option<string?>("--language") { Description = "Language of the texts; default: that of Windows.", HelpName = "en|ja" };
        language.AcceptOnlyFromAmong([.. Windows.Tray.Texts.Languages]);
        var command = new Command("tray", "Show the icon in the notification area. Started at logon, once for each session.") { language };
        command.SetAction((parsed, _) => Root.GuardedAsync(() => Windows.Tray.TrayProgram.RunAsync(parsed.GetValue(language), Edges)));
        return command;
    }
}
