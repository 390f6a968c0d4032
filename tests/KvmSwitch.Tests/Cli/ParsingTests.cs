using KvmSwitch.Cli;
using KvmSwitch.Cli.Commands;
using KvmSwitch.Cli.Parsing;
using Xunit;

namespace KvmSwitch.Tests.Cli;

public sealed class ParsingTests
{
    public static TheoryData<string, object> Understood => new()
    {
        { "status", new StatusCommand(Watch: false) },
        { "status --watch --json", new StatusCommand(Watch: true) },
        { "give desk", new GiveCommand(["desk"], "", null, Force: false, Steps: false) },
        { "give desk --force", new GiveCommand(["desk"], "", null, Force: true, Steps: false) },
        { "hotkeys test", new HotkeysTestCommand() },
        { "give desk audio --to win --for 2m -v", new GiveCommand(["desk", "audio"], "win", TimeSpan.FromMinutes(2), Force: false, Steps: true) },
        { "give --for=1h30m desk", new GiveCommand(["desk"], "", TimeSpan.FromMinutes(90), Force: false, Steps: false) },
        { "take desk --verbose", new TakeCommand(["desk"], All: false, Steps: true) },
        { "take --all", new TakeCommand([], All: true, Steps: false) },
        { "toggle desk --to win", new ToggleCommand(["desk"], "win", Steps: false) },
        { "vm list", new VmListCommand() },
        { "vm start", new VmStartCommand("") },
        { "vm start win", new VmStartCommand("win") },
        { "vm stop win --timeout 90s", new VmStopCommand("win", TimeSpan.FromSeconds(90)) },
        { "vm stop", new VmStopCommand("", null) },
        { "vm restart win --timeout 2m", new VmRestartCommand("win", TimeSpan.FromMinutes(2)) },
        { "vm restart", new VmRestartCommand("", null) },
        { "vm kill win", new VmKillCommand("win") },
        { "vm args win", new VmArgsCommand("win") },
        { "guest pair", new GuestPairCommand("", null) },
        { "guest pair win --for 10m", new GuestPairCommand("win", TimeSpan.FromMinutes(10)) },
        { "guest tools", new GuestToolsCommand("", null, Remove: false) },
        { "guest tools win --for 5m", new GuestToolsCommand("win", TimeSpan.FromMinutes(5), Remove: false) },
        { "guest tools win --lifetime 5m", new GuestToolsCommand("win", TimeSpan.FromMinutes(5), Remove: false) },
        { "guest tools win --remove", new GuestToolsCommand("win", null, Remove: true) },
        { "guest list", new GuestListCommand() },
        { "guest revoke 3f", new GuestRevokeCommand("3f") },
        { "history", new HistoryCommand(20) },
        { "history -n 5", new HistoryCommand(5) },
        { "completion zsh", new CompletionCommand("zsh") },
        { "complete devices", new CompleteCommand("devices") },
    };

    public static TheoryData<string, string> NotUnderstood => new()
    {
        { "", "'kvmswitch' needs a verb: status, give, take, toggle, vm, guest, hotkeys, history, completion" },
        { "stauts", "'kvmswitch' has no verb 'stauts'; did you mean 'status'?" },
        { "zzzzzz", "'kvmswitch' has no verb 'zzzzzz'" },
        { "vm", "'kvmswitch vm' needs a verb: list, start, stop, restart, kill, args" },
        { "vm strat", "'kvmswitch vm' has no verb 'strat'; did you mean 'start'?" },
        { "vm start win more", "'more' is one word too many for 'kvmswitch vm start'" },
        { "status desk", "'desk' is one word too many for 'kvmswitch status'" },
        { "give", "'kvmswitch give' needs a TARGET" },
        { "give desk to win", "name the machine with --to, like this: kvmswitch give desk --to win" },
        { "give desk --fro 2m", "'kvmswitch give' has no option '--fro'; did you mean '--for'?" },
        { "give desk --frobnicate", "'kvmswitch give' has no option '--frobnicate'" },
        { "give desk --for 90", "--for: '90' lacks a unit: write it like 90s, 2m or 1h30m" },
        { "give desk --for", "--for needs a value: --for TIME" },
        { "give desk --to", "--to needs a value: --to MACHINE" },
        { "give desk --to a --to b", "--to is given 2 times, and once is enough" },
        { "take", "'kvmswitch take' needs either a TARGET or --all" },
        { "take desk --all", "'kvmswitch take' needs either a TARGET or --all" },
        { "take --for 2m --all", "'kvmswitch take' has no option '--for'" },
        { "guest tools --remove --for 2m", "--remove and --for exclude each other" },
        { "guest revoke", "'kvmswitch guest revoke' needs a GUEST" },
        { "history --limit 0", "--limit: '0' is not a number from 1 to 10000" },
        { "history --limit=-1", "--limit: '-1' is not a number from 1 to 10000" },
        { "completion tcsh", "no completion for 'tcsh': there is bash, zsh, fish" },
        { "complete names", "'names' is none of devices, machines, guests" },
    };

    [Theory, MemberData(nameof(Understood))]
    public void A_command_line_becomes_its_command(string line, object expected)
    {
        var run = Assert.IsType<Request.Run>(Parse(line));
        Assert.IsType(expected.GetType(), run.Command);
        Assert.Equivalent(expected, run.Command, strict: true);
    }

    [Theory, MemberData(nameof(NotUnderstood))]
    public async Task A_wrong_command_line_is_explained_in_one_sentence_and_ends_with_2(string line, string sentence)
    {
        var run = await CliRun.Async(Words(line));
        Assert.Equal(2, run.Exit);
        Assert.StartsWith($"kvmswitch: {sentence} (see 'kvmswitch", run.Error);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.Empty(run.Out);
    }

    [Fact]
    public void An_empty_word_names_nothing()
    {
        foreach (string[] args in new string[][] { ["give", ""], ["give", "desk", "--to", " "], ["vm", "start", ""], ["guest", "revoke", ""], ["status", "--socket", ""] })
        {
            Assert.Contains("is empty", Assert.IsType<Request.Wrong>(CommandLine.Parse(args, Nowhere())).Sentence);
        }
    }

    [Fact]
    public void The_socket_comes_from_the_option_then_the_environment_then_the_default()
    {
        var environment = Nowhere() with { Variable = name => name == "KVMSWITCH_SOCKET" ? "/env" : null };
        Assert.Equal("/option", Socket(["status", "--socket", "/option"], environment));
        Assert.Equal("/option", Socket(["--socket", "/option", "status"], environment));
        Assert.Equal("/env", Socket(["status"], environment));
        Assert.Equal("/run/kvmswitch/control.sock", Socket(["status"], Nowhere()));
        Assert.Equal("/run/kvmswitch/control.sock", Socket(["status"], Nowhere() with { Variable = _ => "" }));
    }

    [Fact]
    public async Task A_socket_path_is_measured_in_bytes_before_it_is_used()
    {
        var run = await CliRun.Async(["status", "--socket", "/tmp/" + new string('ü', 52)]);
        Assert.Equal(2, run.Exit);
        Assert.StartsWith("kvmswitch: the socket's path is 109 bytes long, and Linux allows 107", run.Error);
        Assert.Equal(3, (await CliRun.Async(["status", "--socket", "/tmp/" + new string('x', 102)])).Exit);
    }

    [Fact]
    public void Colour_is_for_terminals_and_can_be_refused()
    {
        var terminal = Nowhere() with { OutIsTerminal = true };
        Assert.True(Options(["status"], terminal).Colour);
        Assert.False(Options(["status"], Nowhere()).Colour);
        Assert.False(Options(["status", "--no-color"], terminal).Colour);
        Assert.False(Options(["status"], terminal with { Variable = name => name == "NO_COLOR" ? "1" : null }).Colour);
    }

    [Fact]
    public async Task The_version_and_the_help_need_no_daemon()
    {
        var version = await CliRun.Async(["--version"]);
        Assert.Equal((0, "kvmswitch 0.1.0\n"), (version.Exit, version.Out));
        var help = await CliRun.Async(["give", "--help"]);
        Assert.Equal(0, help.Exit);
        Assert.StartsWith(
            """
            Hands devices over to a machine: all arrive, or none moves.

            Usage: kvmswitch give TARGET... [--to MACHINE] [--for TIME] [--force]
                   [--verbose]

            Arguments:
              TARGET  devices and sets, by the names that 'kvmswitch status' shows

            Options:
              --to MACHINE   who gets them; may be left out when there is only one machine

            """,
            help.Out);
    }

    [Fact]
    public void A_verb_is_made_alone_where_it_is_named_first_and_is_the_same()
    {
        foreach (var verb in CommandTree.Build().Subcommands)
        {
            var alone = Assert.Single(CommandTree.Build([verb.Name, "desk"]).Subcommands);
            Assert.Equal(HelpText.For((Verb)verb), HelpText.For((Verb)alone));
        }

        Assert.Equal(CommandTree.Build().Subcommands.Count, CommandTree.Build(["stats"]).Subcommands.Count);
    }

    [Fact]
    public void Every_help_text_fits_into_80_columns_and_describes_everything()
    {
        foreach (var verb in Verbs(CommandTree.Build()))
        {
            var help = HelpText.For(verb);
            Assert.All(help.Split('\n'), line => Assert.True(line.Length <= 80, $"{verb.Path}: {line}"));
            Assert.All(verb.Options, option => Assert.False(string.IsNullOrEmpty(option.Description)));
            Assert.All(verb.Arguments, argument => Assert.False(string.IsNullOrEmpty(argument.Description)));
        }
    }

    [Theory, InlineData("bash"), InlineData("zsh"), InlineData("fish")]
    public void The_completion_knows_every_verb_and_every_option(string shell)
    {
        var script = CompletionCommand.Script(shell);
        foreach (var verb in Verbs(CommandTree.Build()).Where(verb => !verb.Hidden))
        {
            Assert.Contains(verb.Name, script);
            Assert.All(verb.Options, option => Assert.Contains(shell == "fish" ? $"-l {option.Name[2..]}" : option.Name, script));
        }
    }

    private static IEnumerable<Verb> Verbs(Verb verb) => verb.Subcommands.Cast<Verb>().SelectMany(Verbs).Prepend(verb);

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static Surroundings Nowhere() => new(TextWriter.Null, TextWriter.Null);

    private static Request Parse(string line) => CommandLine.Parse(Words(line), Nowhere());

    private static GlobalOptions Options(string[] args, Surroundings around) => Assert.IsType<Request.Run>(CommandLine.Parse(args, around)).Options;

    private static string Socket(string[] args, Surroundings around) => Options(args, around).Socket;
}
