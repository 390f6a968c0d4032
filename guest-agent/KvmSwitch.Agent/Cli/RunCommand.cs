using System.CommandLine;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Cli;

/// <summary><c>run</c>: keeps the link to the host until it is told to stop.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var state = Root.StateOption();
        var command = new Command("run", "Keep the link to the host: report devices, watch the hotkeys, for ever.") { state };
        command.SetAction((parsed, _) => Root.GuardedAsync(() => RunAsync(new IdentityStore(parsed.GetRequiredValue(state)))));
        return command;
    }

    private static async Task RunAsync(IdentityStore store)
    {
        using var termination = new Termination();
        await Platform.RunAsync(store, new StandardError(), termination.Token);
    }
}
