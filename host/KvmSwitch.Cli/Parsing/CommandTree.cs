using KvmSwitch.Cli.Commands;

namespace KvmSwitch.Cli.Parsing;

/// <summary>Everything that can be typed.</summary>
internal static class CommandTree
{
    private const string ExitCodes =
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 daemon not running, 4 refused,\n5 timed out and rolled back, 130 interrupted.";

    private static readonly (string Name, Func<Verb> Define)[] Verbs =
    [
        ("status", StatusCommand.Definition),
        ("give", GiveCommand.Definition),
        ("take", TakeCommand.Definition),
        ("toggle", ToggleCommand.Definition),
        ("vm", MachineCommands),
        ("guest", GuestCommands),
        ("hotkeys", () => new Verb("hotkeys", "Helps with hotkeys.") { HotkeysTestCommand.Definition() }),
        ("history", HistoryCommand.Definition),
        ("completion", CompletionCommand.Definition),
        ("complete", CompleteCommand.Definition),
    ];

    /// <summary>All of it.</summary>
    public static Verb Build() => Root(Verbs);

    /// <summary>As much of it as these words can mean: where the first one is a verb, no other verb can be meant, and none is made.</summary>
    public static Verb Build(IReadOnlyList<string> args) =>
        args is [var first, ..] && Array.FindIndex(Verbs, verb => verb.Name == first) is >= 0 and var only ? Root(Verbs.AsSpan(only, 1)) : Build();

    private static Verb Root(ReadOnlySpan<(string Name, Func<Verb> Define)> verbs)
    {
        var root = new Verb("kvmswitch", "Hands keyboards and USB devices to a virtual machine, and brings them home.")
        {
            Examples = ["kvmswitch vm start", "kvmswitch give desk", "kvmswitch take --all", "kvmswitch status --watch"],
            Remarks = $"'kvmswitch COMMAND --help' tells more of each.\n{ExitCodes}",
        };
        foreach (var (_, define) in verbs)
        {
            root.Add(define());
        }

        foreach (var option in GlobalOptions.All)
        {
            root.Add(option);
        }

        return root;
    }

    private static Verb MachineCommands() => new("vm", "Starts, stops and shows virtual machines.")
    {
        VmListCommand.Definition(),
        VmStartCommand.Definition(),
        VmStopCommand.Definition(),
        VmRestartCommand.Definition(),
        VmKillCommand.Definition(),
        VmArgsCommand.Definition(),
    };

    private static Verb GuestCommands() => new("guest", "Decides which guests may talk to the daemon.")
    {
        GuestPairCommand.Definition(),
        GuestToolsCommand.Definition(),
        GuestListCommand.Definition(),
        GuestRevokeCommand.Definition(),
    };
}
