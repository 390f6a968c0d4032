using System.CommandLine;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Cli;

/// <summary><c>forget</c>: ends the pairing on this side. The uninstaller calls it.</summary>
internal static class ForgetCommand
{
    public static Command Create()
    {
        var state = Root.StateOption();
        var command = new Command("forget", "Forget the host: removes the pairing, with its key, from this guest.") { state };
        command.SetAction((parsed, _) => Root.GuardedAsync(async () =>
        {
            var was = new IdentityStore(parsed.GetRequiredValue(state)).Remove();
            if (OperatingSystem.IsWindows())
                Windows.WindowsOffers.Forget();
            await Console.Out.WriteLineAsync(was ? "The pairing is removed. On the host, 'kvmswitch guest revoke' shuts its certificate out." : "This guest was not paired.");
        }));
        return command;
    }
}
