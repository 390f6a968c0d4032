using System.CommandLine;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

/// <summary>Names for the completion scripts, one a line. Silent when the daemon has nothing to say: nobody wants an error while typing.</summary>
internal sealed record CompleteCommand(string Kind) : ICommand
{
    private static readonly string[] Kinds = ["devices", "machines", "guests"];
    private static readonly Call Quick = new("complete", TimeSpan.FromSeconds(1), Changes: false);

    public static Verb Definition()
    {
        var kind = new Argument<string>("KIND")
        {
            Description = string.Join(", ", Kinds),
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result =>
            {
                var name = result.Tokens[0].Value;
                if (!Kinds.Contains(name))
                {
                    result.AddError($"'{name}' is none of {string.Join(", ", Kinds)}");
                }

                return name;
            },
        };
        return new Verb("complete", "Prints names for the completion scripts.")
        {
            Bind = parsed => new CompleteCommand(parsed.GetValue(kind)!),
            Hidden = true,
            Arguments = { kind },
        };
    }

    public async Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        try
        {
            var names = await NamesAsync(session, cancellation);
            session.Write(string.Concat(names.Select(name => Plain.Text(name) + "\n")));
            return ExitCode.Done;
        }
        catch (CliException failure)
        {
            return failure.Exit;
        }
    }

    private async Task<IEnumerable<string>> NamesAsync(Session session, CancellationToken cancellation)
    {
        if (Kind == "guests")
        {
            var list = await session.AskAsync(Quick, (client, options) => client.ListGuestsAsync(new ListGuestsRequest(), options), cancellation);
            return list.Guests.Where(guest => !guest.Revoked).SelectMany(guest => new[] { guest.Id, guest.Machine }).Distinct();
        }

        var state = await session.GetStateAsync(Quick, cancellation);
        return Kind == "machines"
            ? state.Machines.Select(machine => machine.Name)
            : state.Sets.Select(set => set.Name).Concat(state.Devices.Select(device => device.Name));
    }
}
