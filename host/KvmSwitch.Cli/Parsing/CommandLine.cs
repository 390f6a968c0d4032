using System.CommandLine;
using System.Reflection;
using KvmSwitch.Cli.Commands;
using KvmSwitch.Cli.Connection;

namespace KvmSwitch.Cli.Parsing;

/// <summary>What a command line asks for.</summary>
internal abstract record Request
{
    public sealed record Run(ICommand Command, GlobalOptions Options) : Request;

    public sealed record Print(string Text) : Request;

    /// <summary>Not understood: a sentence, and the verb whose help tells more.</summary>
    public sealed record Wrong(string Sentence, string HelpOf) : Request;
}

/// <summary>From words to an exit code.</summary>
internal static class CommandLine
{
    // A response file (@name) would let a target's name read files.
    private static readonly ParserConfiguration Strict = new() { ResponseFileTokenReplacer = null };

    /// <summary>The program's version, as released.</summary>
    public static string Version =>
        typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    /// <exception cref="CliException">The socket's path can't be one.</exception>
    public static Request Parse(IReadOnlyList<string> args, Surroundings around)
    {
        var parsed = CommandTree.Build(args).Parse(args, Strict);
        var verb = (Verb)parsed.CommandResult.Command;
        if (parsed.GetResult(GlobalOptions.HelpOption) is { Implicit: false })
        {
            return new Request.Print(HelpText.For(verb));
        }

        if (parsed.GetResult(GlobalOptions.VersionOption) is { Implicit: false })
        {
            return new Request.Print($"kvmswitch {Version}\n");
        }

        return UsageError.Find(parsed, verb) is { } sentence
            ? new Request.Wrong(sentence, verb.Path)
            : new Request.Run(verb.Bind!(parsed), GlobalOptions.From(parsed, around));
    }

    /// <param name="args">What was typed.</param>
    /// <param name="around">The process that it runs in.</param>
    /// <param name="stop">Begins to listen for an interruption; called only for a command that has something to say or to put back then.</param>
    public static async Task<ExitCode> RunAsync(IReadOnlyList<string> args, Surroundings around, Func<CancellationToken> stop)
    {
        try
        {
            var exit = Parse(args, around) switch
            {
                Request.Run run => await RunAsync(run, around, run.Command.MindsInterruption ? stop() : CancellationToken.None),
                Request.Print print => Print(print, around),
                Request.Wrong wrong => throw new CliException(ExitCode.Usage, $"{wrong.Sentence} (see '{wrong.HelpOf} --help')"),
                _ => throw new InvalidOperationException("a kind of request that nobody runs"),
            };
            around.Out.Flush();
            return exit;
        }
        catch (CliException failure)
        {
            return Fail(around, failure);
        }
        catch (IOException failure)
        {
            return Fail(around, OutputFailure.Describe(failure));
        }
        catch (Exception defect) when (defect is not OutOfMemoryException)
        {
            return Fail(around, new CliException(ExitCode.Failed, $"unexpected {defect.GetType().Name}: {defect.Message}", defect));
        }
    }

    private static ExitCode Print(Request.Print print, Surroundings around)
    {
        around.Out.Write(print.Text);
        return ExitCode.Done;
    }

    private static async Task<ExitCode> RunAsync(Request.Run run, Surroundings around, CancellationToken cancellation)
    {
        var session = new Session(around, run.Options);
        try
        {
            return await run.Command.RunAsync(session, cancellation);
        }
        catch (OperationCanceledException end) when (cancellation.IsCancellationRequested)
        {
            throw new CliException(ExitCode.Interrupted, run.Command.WhenInterrupted, end);
        }
    }

    private static ExitCode Fail(Surroundings around, CliException failure)
    {
        if (failure.Message.Length > 0)
        {
            around.Error.Write($"kvmswitch: {Output.Plain.Text(failure.Message)}\n");
        }

        return failure.Exit;
    }
}
