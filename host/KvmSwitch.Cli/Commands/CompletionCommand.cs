using System.CommandLine;
using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Cli.Commands;

internal sealed record CompletionCommand(string Shell) : ICommand
{
    private static readonly string[] Shells = ["bash", "zsh", "fish"];

    public static Verb Definition()
    {
        var shell = new Argument<string>("SHELL")
        {
            Description = string.Join(", ", Shells),
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result =>
            {
                var name = result.Tokens[0].Value;
                if (!Shells.Contains(name))
                {
                    result.AddError($"no completion for '{name}': there is {string.Join(", ", Shells)}");
                }

                return name;
            },
        };
        return new Verb("completion", "Prints a script that lets a shell complete the words.")
        {
            Bind = parsed => new CompletionCommand(parsed.GetValue(shell)!),
            Examples =
            [
                "source <(kvmswitch completion bash)",
                "kvmswitch completion zsh > ~/.zfunc/_kvmswitch",
                "kvmswitch completion fish > ~/.config/fish/completions/kvmswitch.fish",
            ],
            Arguments = { shell },
        };
    }

    public static string Script(string shell)
    {
        using var stream = typeof(CompletionCommand).Assembly.GetManifestResourceStream($"kvmswitch.{shell}")
            ?? throw new InvalidOperationException($"the completion for {shell} is not in this program");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    public Task<ExitCode> RunAsync(Session session, CancellationToken cancellation)
    {
        session.Write(Script(Shell));
        return Task.FromResult(ExitCode.Done);
    }
}
