using KvmSwitch.Cli.Commands;

namespace KvmSwitch.Cli.Parsing;

/// <summary>Everything that can be typed.</summary>
internal static class CommandTree
{
    private const string ExitCodes =
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 daemon not running, 4 refused,\n5 timed out and rolled back, 130 interrupted.";

    public static Verb Build()
    {
        var root = new Verb("kvmswitch", "Hands keyboards and USB devices to a virtual machine, and brings them home.")
        {
            Examples = ["kvmswitch vm start", "kvmswitch give desk", "kvmswitch take --all", "kvmswitch status --watch"],
            Remarks = $"'kvmswitch COMMAND --help' tells more of each.\n{ExitCodes}",
        };
        root.Add(StatusCommand.Definition());
        root.Add(GiveCommand.Definition());
        root.Add(TakeCommand.Definition());
        root.Add(ToggleCommand.Definition());
        root.Add(MachineCommands());
        root.Add(GuestCommands());
        root.Add(new Verb("hotkeys", "Helps with hotkeys.") { HotkeysTestCommand.Definition() });
        root.Add(HistoryCommand.Definition());
        root.Add(CompletionCommand.Definition());
        root.Add(CompleteCommand.Definition());
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
