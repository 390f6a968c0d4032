using System.CommandLine;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Cli;

/// <summary><c>join CODE</c>: pairs this guest with its host.</summary>
internal static class JoinCommand
{
    public static Command Create()
    {
        var code = new Argument<string>("CODE") { Description = "What 'kvmswitch guest pair' printed on the host." };
        var state = Root.StateOption();
        var command = new Command("join", "Pair this guest with the host. Replaces an older pairing once the new one works.") { code, state };
        command.SetAction((parsed, cancellationToken) => Root.GuardedAsync(async () =>
        {
            var enroller = new Enroller(Platform.Keys, new IdentityStore(parsed.GetRequiredValue(state)));
            var identity = await enroller.JoinAsync(JoinCode.Parse(parsed.GetRequiredValue(code)), Environment.MachineName, cancellationToken);
            await Console.Out.WriteLineAsync($"Paired: this guest is machine {identity.Machine}.");
        }));
        return command;
    }
}
