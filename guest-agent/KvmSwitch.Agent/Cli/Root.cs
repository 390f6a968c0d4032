using System.CommandLine;

namespace KvmSwitch.Agent.Cli;

/// <summary>The program's verbs.</summary>
internal static class Root
{
    public static RootCommand Create()
    {
        var root = new RootCommand("The guest's side of KvmSwitch: links this guest to the host that runs it.")
        {
            JoinCommand.Create(),
            ForgetCommand.Create(),
            RunCommand.Create(),
        };
        Command[] others = OperatingSystem.IsWindows()
            ? [.. Windows.WindowsVerbs.Create(), .. Windows.Session.SessionCommands.Create()]
            : [StatusCommand.Create(), WatchCommand.Create()];
        foreach (var verb in others)
            root.Add(verb);
        return root;
    }

    public static Option<string> StateOption() => new("--state")
    {
        Description = "Directory that holds the pairing with the host.",
        HelpName = "DIR",
        DefaultValueFactory = _ => Platform.StateDirectory,
    };

    public static string Version { get; } = typeof(Root).Assembly.GetName().Version?.ToString(3) ?? "0";

    /// <summary>Runs a verb; what a person has to know goes to stderr as one sentence, and the exit code is 1.</summary>
    public static async Task<int> GuardedAsync(Func<Task> verb)
    {
        try
        {
            await verb();
            return 0;
        }
        catch (Exception failure) when (failure is AgentException or IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"{AgentProgram.Name}: {failure.Message}");
            return 1;
        }
    }
}
