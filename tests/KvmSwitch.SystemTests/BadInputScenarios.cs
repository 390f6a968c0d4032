using System.Net;
using System.Net.Sockets;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>What people get wrong: one clear sentence, the promised exit code, and nothing has changed. No guest boots here.</summary>
public sealed class BadInputScenarios
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory(Timeout = 300_000)]
    [InlineData("--check")]
    [InlineData("--verbose")]
    public async Task Every_error_of_a_configuration_is_told_at_once_with_its_place(string mode)
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop, _ => """
            [daemon]
            lisen = ["127.0.0.1:7443"]

            [machine.demo]
            memory = "384"
            cpus = 0

            [device.keyboard]
            route = "virtual"
            driver = "usb-kbd"

            [set.desk]
            devices = ["keybord"]
            """);

        var result = await ChildProcess.RunAsync(SharedDemo.Inputs.Daemon, [.. Refused.DaemonArguments(host), mode], Refused.Patience, Stop);

        Assert.Equal(1, result.ExitCode);
        Assert.Empty(result.Output);
        var places = result.Error.Trim().Split('\n').Select(line => line[(host.Configuration.Length + 1)..].Split(": ")[..2]);
        Assert.Equal(
            [["2:1", "daemon.lisen"], ["5:10", "machine.demo.memory"], ["6:8", "machine.demo.cpus"], ["13:12", "set.desk.devices"]], places);
        Assert.Contains("did you mean 'listen'?", result.Error, StringComparison.Ordinal);
        Assert.Contains("did you mean 'keyboard'?", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(host.StateDirectory) || File.Exists(host.Socket), "something was made although the configuration is wrong");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_good_configuration_is_called_good_and_a_missing_one_missing()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);

        var good = await ChildProcess.RunAsync(
            SharedDemo.Inputs.Daemon, [.. Refused.DaemonArguments(host), "--check"], Refused.Patience, Stop);

        Assert.True(good.ExitCode == 0, good.Error);
        await Refused.ByDaemonAsync(
            ["does not exist", "--config"], [.. Refused.DaemonArguments(host, configuration: Path.Combine(host.Directory, "none.toml")), "--check"]);
        File.SetUnixFileMode(host.Configuration, File.GetUnixFileMode(host.Configuration) | UnixFileMode.OtherWrite);
        await Refused.ByDaemonAsync(["chmod o-w"], Refused.DaemonArguments(host));
    }

    [Fact(Timeout = 300_000)]
    public async Task A_misspelt_name_gets_a_suggestion_and_nothing_changes()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await host.StartDaemonAsync(Stop);

        await Refused.ByCommandAsync(host, Refused.Usage, ["'keybord'", "did you mean 'keyboard'?"], "give", "keybord");
        await Refused.ByCommandAsync(host, Refused.Usage, ["'desc'", "did you mean 'desk'?"], "take", "desc");
        await Refused.ByCommandAsync(host, Refused.Usage, ["'dmo'", "did you mean 'demo'?"], "give", "keyboard", "--to", "dmo");
        await Refused.ByCommandAsync(host, Refused.Usage, ["'dmo'", "did you mean 'demo'?"], "vm", "start", "dmo");
        await Refused.ByCommandAsync(host, Refused.Usage, ["'dmo'", "did you mean 'demo'?"], "guest", "pair", "dmo");
        await Refused.ByCommandAsync(host, Refused.Usage, ["'zzzzzzzz'", "keyboard"], "give", "zzzzzzzz");
        await AssertUntouchedAsync(host);
    }

    [Fact(Timeout = 300_000)]
    public async Task To_a_machine_that_is_off_nothing_is_given()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await host.StartDaemonAsync(Stop);

        await Refused.ByCommandAsync(host, Refused.Declined, ["demo is not running", "kvmswitch vm start demo"], "give", "keyboard");
        await Refused.ByCommandAsync(host, Refused.Declined, ["demo is not running"], "give", "keyboard", "--for", "2m");
        await Refused.ByCommandAsync(host, Refused.Declined, ["demo is not running"], "vm", "kill", "demo");
        await AssertUntouchedAsync(host);
    }

    [Fact(Timeout = 300_000)]
    public async Task Without_a_daemon_every_command_says_so_with_exit_code_3()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);

        foreach (var command in new string[][] { ["status"], ["status", "--watch"], ["give", "keyboard"], ["take", "--all"], ["vm", "list"], ["history"] })
            await Refused.ByCommandAsync(host, Refused.NoDaemon, ["the daemon is not running", host.Socket], command);

        // A daemon that died leaves its socket behind.
        await host.StartDaemonAsync(Stop);
        await host.EndDaemonAsync(ProcessSignal.Kill, Stop);
        Assert.True(File.Exists(host.Socket));
        await Refused.ByCommandAsync(host, Refused.NoDaemon, ["the daemon is not running", host.Socket], "give", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_socket_path_that_is_too_long_is_told_before_anything_is_made()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        var tooLong = Path.Combine(host.Directory, new string('s', 100));

        await Refused.ByDaemonAsync([tooLong, "107", "--socket"], Refused.DaemonArguments(host, socket: tooLong));
        await Refused.ByDaemonAsync([tooLong, "107"], Refused.DaemonArguments(host, runtime: tooLong));
        var command = await ChildProcess.RunAsync(SharedDemo.Inputs.Cli, ["--socket", tooLong, "status"], Refused.Patience, Stop);
        Refused.Sentence(command, Refused.Usage, tooLong);
    }

    [Fact(Timeout = 300_000)]
    public async Task A_port_that_is_taken_is_named()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        using var other = new TcpListener(IPAddress.Loopback, host.Port);
        other.Start();

        await Refused.ByDaemonAsync([$"127.0.0.1:{host.Port}", "in use"], Refused.DaemonArguments(host));
    }

    [Fact(Timeout = 300_000)]
    public async Task Who_may_not_open_the_socket_is_told_which_group_to_join()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can become another user");
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await host.StartDaemonAsync(Stop);

        // The programs may lie where only root may look.
        var cli = Path.Combine(host.Directory, "kvmswitch");
        File.Copy(SharedDemo.Inputs.Cli, cli);
        var stranger = await ChildProcess.RunAsync(
            "/usr/bin/setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", cli, "--socket", host.Socket, "give", "keyboard"],
            Refused.Patience, Stop);

        Refused.Sentence(stranger, Refused.Declined, "no permission", host.Socket, "kvmswitch");
        await AssertUntouchedAsync(host);
    }

    /// <summary>Everything is home, and the history knows of nothing.</summary>
    private static async Task AssertUntouchedAsync(DemoHost host)
    {
        var state = await host.RunAsync(Stop, "status");
        Assert.All(state["devices"]!.AsArray(), device => Assert.Equal("host", (string?)device!["placement"]));
        Assert.All(state["devices"]!.AsArray(), device => Assert.Equal("host", (string?)device!["owner"]));
        Assert.Equal("off", (string?)state["machines"]![0]!["power"]);
        Assert.Empty((await host.RunAsync(Stop, "history"))["handoffs"]!.AsArray());
    }
}
