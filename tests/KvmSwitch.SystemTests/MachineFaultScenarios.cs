using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>A machine that can't start, a disk that takes nothing more, a second daemon: told in one sentence, and nothing is left behind.</summary>
public sealed class MachineFaultScenarios(SharedDemo demo)
{
    private const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task A_QEMU_that_is_not_there_is_missed_by_name()
    {
        await using var host = await HostWithQemuAsync("/nowhere/qemu");

        await AssertStartFailsAsync(host, "/nowhere/qemu", "[daemon]");
    }

    [Theory(Timeout = 300_000)]
    [InlineData("echo QEMU emulator version 6.2.0", "6.2.0 which is too old: 7.2")]
    [InlineData("echo hello", "no version")]
    [InlineData("exit 1", "no version")]
    public async Task A_QEMU_that_is_too_old_or_none_at_all_is_not_started(string script, string words)
    {
        var directory = Directory.CreateTempSubdirectory("kvmswitch-old-");
        try
        {
            var qemu = Path.Combine(directory.FullName, "qemu");
            await File.WriteAllTextAsync(qemu, $"#!/bin/sh\n{script}\n", Stop);
            File.SetUnixFileMode(qemu, Executable);
            await using var host = await HostWithQemuAsync(qemu);

            await AssertStartFailsAsync(host, [qemu, .. words.Split(' ')[0].Split(':')]);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task A_disk_that_is_not_there_is_named()
    {
        await using var host = await DemoHost.CreateAsync(
            SharedDemo.Inputs, Stop, text => text.Replace("/state.img", "/gone.img", StringComparison.Ordinal));
        await host.StartDaemonAsync(Stop);

        await AssertStartFailsAsync(host, "gone.img");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_disk_that_another_QEMU_uses_is_not_shared_and_its_user_goes_on()
    {
        await demo.SettleAsync();
        await using var second = await DemoHost.CreateAsync(
            SharedDemo.Inputs, Stop,
            text => text.Replace($"{FolderOf(text)}/state.img", Path.Combine(demo.Host.Directory, "state.img"), StringComparison.Ordinal));
        await second.StartDaemonAsync(Stop);

        await AssertStartFailsAsync(second, "another process using the image", Path.Combine(demo.Host.Directory, "state.img"));

        await demo.Guest.WaitUntilLiveAsync(Stop);
        Assert.NotNull(demo.Host.QemuPid());
    }

    [Fact(Timeout = 300_000)]
    public async Task A_full_disk_stops_a_give_before_anything_is_touched()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await using var disk = await SmallDisk.MountAsync(host.StateDirectory, Stop);
        await host.StartDaemonAsync(Stop);
        await host.RunAsync(Stop, "vm", "start", "demo");
        await using var qmp = await host.ConnectQmpAsync(Stop);
        disk.Fill();

        await Refused.ByCommandAsync(host, Refused.Failed, ["disk is full", host.StateDirectory], "give", "drive");
        Assert.Equal("host", await host.PlacementOfAsync("drive", Stop));
        Assert.DoesNotContain("kvmswitch-device-drive", await KvmSwitch.Qmp.QmpDeviceCommands.ListPeripheralsAsync(qmp, Stop));

        disk.Free();
        await host.RunAsync(Stop, "give", "drive");
        Assert.Equal("demo", await host.PlacementOfAsync("drive", Stop));

        // Coming home waits for no disk.
        disk.Fill();
        await host.RunAsync(Stop, "take", "drive");
        Assert.Equal("host", await host.PlacementOfAsync("drive", Stop));
        await host.EndDaemonAsync(ProcessSignal.Kill, Stop);
        await ForeignProcess.KillAsync(host.QemuPid()!.Value, host.RuntimeFile("qemu.pid"), Refused.Patience);
    }

    [Fact(Timeout = 300_000)]
    public async Task A_machine_that_crashes_is_started_again_where_the_configuration_says_so_and_a_restart_is_a_new_QEMU()
    {
        await using var host = await DemoHost.CreateAsync(
            SharedDemo.Inputs, Stop, text => text.Replace("[machine.demo]\n", "[machine.demo]\nrestart = \"on-crash\"\n", StringComparison.Ordinal));
        await host.StartDaemonAsync(Stop);
        await host.RunAsync(Stop, "vm", "start", "demo");
        await host.RunAsync(Stop, "give", "keyboard", "--for", "10m");
        var first = host.QemuPid()!.Value;

        await ForeignProcess.KillAsync(first, host.RuntimeFile("qemu.pid"), Refused.Patience);
        await host.WaitForStateAsync(
            state => state["machines"]![0]!["trouble"]?.GetValue<string>().Contains("starting it again in 1 s", StringComparison.Ordinal) == true,
            "the status tells of the coming start", Stop);
        await host.WaitForStateAsync(state => (string?)state["machines"]![0]!["power"] == "running", "the machine runs again", Stop);
        var second = host.QemuPid()!.Value;
        Assert.NotEqual(first, second);
        Assert.Equal("host", await host.PlacementOfAsync("keyboard", Stop));

        var restarted = await host.TryRunAsync(Stop, "vm", "restart", "demo", "--timeout", "1s");
        Assert.Equal(0, restarted.ExitCode);
        Assert.Contains("starting QEMU", restarted.Output, StringComparison.Ordinal);
        Assert.NotEqual(second, host.QemuPid()!.Value);

        await host.RunAsync(Stop, "vm", "kill", "demo");
        Assert.Equal("off", (string?)(await host.RunAsync(Stop, "status"))["machines"]![0]!["power"]);
    }

    [Fact(Timeout = 300_000)]
    public async Task A_daemon_that_cannot_write_its_keys_says_so_and_ends()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await using var disk = await SmallDisk.MountAsync(host.StateDirectory, Stop);
        disk.Fill();

        await Refused.ByDaemonAsync(["disk is full", host.StateDirectory], Refused.DaemonArguments(host));
    }

    [Fact(Timeout = 300_000)]
    public async Task A_second_daemon_on_the_same_socket_ends_and_disturbs_nothing()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await host.StartDaemonAsync(Stop);
        await host.RunAsync(Stop, "vm", "start", "demo");
        await host.RunAsync(Stop, "give", "keyboard", "--for", "10m");
        var state = Path.Combine(host.StateDirectory, "state.json");
        var before = await WrittenStateAsync(host);

        await Refused.ByDaemonAsync(["another kvmswitchd", host.Socket], Refused.DaemonArguments(host));

        Assert.Equal(before, await File.ReadAllTextAsync(state, Stop));
        Assert.Equal("demo", await host.PlacementOfAsync("keyboard", Stop));
        Assert.Equal("running", (string?)(await host.RunAsync(Stop, "status"))["machines"]![0]!["power"]);
        await host.RunAsync(Stop, "take", "keyboard");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_second_daemon_on_the_same_state_ends_and_disturbs_nothing_although_its_socket_and_port_are_free()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await host.StartDaemonAsync(Stop);
        await host.RunAsync(Stop, "vm", "start", "demo");
        await host.RunAsync(Stop, "give", "keyboard", "--for", "10m");
        var before = await WrittenStateAsync(host);
        var deaf = Path.Combine(host.Directory, "deaf.toml");
        var lines = (await File.ReadAllLinesAsync(host.Configuration, Stop)).Where(line => !line.StartsWith("listen", StringComparison.Ordinal));
        await File.WriteAllLinesAsync(deaf, lines.Where(line => !line.StartsWith("advertise", StringComparison.Ordinal)), Stop);

        await Refused.ByDaemonAsync(
            ["another kvmswitchd", host.StateDirectory], Refused.DaemonArguments(host, deaf, Path.Combine(host.Directory, "second.sock")));

        Assert.Equal(before, await File.ReadAllTextAsync(Path.Combine(host.StateDirectory, "state.json"), Stop));
        Assert.Equal("demo", await host.PlacementOfAsync("keyboard", Stop));
    }

    /// <summary>The state file once the give is written down as over, which happens just after it is told to be done.</summary>
    private static async Task<string> WrittenStateAsync(DemoHost host)
    {
        var text = "";
        await Condition.HoldsAsync(
            () =>
            {
                text = File.ReadAllText(Path.Combine(host.StateDirectory, "state.json"));
                return text.Contains("keyboard", StringComparison.Ordinal) && !text.Contains("pending", StringComparison.Ordinal);
            },
            "the state tells that the keyboard is given", TimeSpan.FromSeconds(30), Stop);
        return text;
    }

    private static string FolderOf(string configuration)
    {
        const string Key = "kernel = \"";
        var from = configuration.IndexOf(Key, StringComparison.Ordinal) + Key.Length;
        return configuration[from..configuration.IndexOf("/vmlinux", from, StringComparison.Ordinal)];
    }

    private static async Task<DemoHost> HostWithQemuAsync(string qemu)
    {
        var host = await DemoHost.CreateAsync(
            SharedDemo.Inputs, Stop, text => text.Replace("[daemon]\n", $"[daemon]\nqemu = \"{qemu}\"\n", StringComparison.Ordinal));
        await host.StartDaemonAsync(Stop);
        return host;
    }

    private static async Task AssertStartFailsAsync(DemoHost host, params string[] words)
    {
        await Refused.ByCommandAsync(host, Refused.Failed, words, "vm", "start", "demo");
        Assert.Null(host.QemuPid());
        var machine = (await host.RunAsync(Stop, "status"))["machines"]![0]!;
        Assert.Equal("off", (string?)machine["power"]);
        Assert.False((bool)machine["agent_live"]!);
    }
}
