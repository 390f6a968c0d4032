using System.CommandLine;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Cli;

/// <summary><c>join [CODE]</c>: pairs this guest with its host.</summary>
internal static class JoinCommand
{
    public static Command Create()
    {
        var code = new Argument<string>("CODE")
        {
            Description = $"What 'kvmswitch guest pair' printed on the host; without it, a file {JoinFile.Name} is looked for on all drives.",
            Arity = ArgumentArity.ZeroOrOne,
            DefaultValueFactory = _ => "",
        };
        var state = Root.StateOption();
        var command = new Command("join", "Pair this guest with the host. Replaces an older pairing once the new one works.") { code, state };
        command.SetAction((parsed, cancellationToken) => Root.GuardedAsync(async () =>
        {
            var enroller = new Enroller(Platform.Keys, new IdentityStore(parsed.GetRequiredValue(state)));
            var identity = parsed.GetRequiredValue(code) is { Length: > 0 } text
                ? await enroller.JoinAsync(JoinCode.Parse(text), Environment.MachineName, cancellationToken)
                : await JoinOfferedAsync(enroller, Platform.Offers(), cancellationToken);
            await Console.Out.WriteLineAsync($"Paired: this guest is machine {identity.Machine}.");
        }));
        return command;
    }

    /// <summary>Pairs with the first code that lies ready and is good.</summary>
    /// <exception cref="JoinFailedException">There is none; of several that were refused, what the last one met.</exception>
    internal static async Task<HostIdentity> JoinOfferedAsync(Enroller enroller, IJoinOffers offers, CancellationToken cancellationToken)
    {
        AgentException failure = new JoinFailedException(
            $"No file {JoinFile.Name} was found; looked at {offers.Places}. Show this guest a disc with 'kvmswitch guest tools' on the host, or give the code that 'kvmswitch guest pair' prints there.");
        foreach (var offer in offers.Look())
        {
            if (offer.Code is not { } code)
            {
                failure = new JoinFailedException(offer.Problem!);
                continue;
            }

            try
            {
                var identity = await enroller.JoinAsync(code, Environment.MachineName, cancellationToken);
                offer.Spent();
                return identity;
            }
            catch (JoinFailedException failed)
            {
                failure = new JoinFailedException($"{offer.Where} is of no use. {failed.Message}", failed);
            }
        }

        throw failure;
    }
}
