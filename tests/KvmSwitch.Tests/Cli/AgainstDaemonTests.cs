using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Cli;

/// <summary>Every verb against a Control service on a real Unix socket.</summary>
public sealed class AgainstDaemonTests : IAsyncLifetime
{
    private FakeDaemon daemon = null!;

    public async ValueTask InitializeAsync() => daemon = await FakeDaemon.StartAsync();

    public ValueTask DisposeAsync() => daemon.DisposeAsync();

    [Fact]
    public async Task Status_prints_tables()
    {
        var run = await RunAsync("status");
        Assert.Equal((0, ""), (run.Exit, run.Error));
        Assert.StartsWith("MACHINE  POWER    AGENT  KIND      NOTE\nwin      running", run.Out);
    }

    [Fact]
    public async Task Status_of_nothing_is_a_hint_and_no_output()
    {
        daemon.Control.State = new State();
        var run = await RunAsync("status");
        Assert.Equal((0, ""), (run.Exit, run.Out));
        Assert.StartsWith("nothing is configured yet: ", run.Error);
    }

    [Fact]
    public async Task Status_as_json_has_stable_keys()
    {
        using var json = JsonDocument.Parse((await RunAsync("status", "--json")).Out);
        Assert.Equal(["daemon_version", "machines", "devices", "sets"], Keys(json.RootElement));
        var (machine, device) = (json.RootElement.GetProperty("machines")[1], json.RootElement.GetProperty("devices")[1]);
        Assert.Equal(
            """{"name":"old","kind":"external","power":"crashed","pid":null,"agent_live":false,"agent_version":null,"qemu_version":null,"trouble":"QEMU ended by itself: could not open disk image"}""",
            JsonSerializer.Serialize(machine));
        Assert.Equal(
            """{"name":"mouse","label":null,"route":"usb","class":"hid","owner":"win","placement":"win","handoff":null,"until":"2026-11-22T20:26:02Z","trouble":null,"detail":null}""",
            JsonSerializer.Serialize(device));
    }

    [Fact]
    public async Task Watch_prints_every_state_until_the_daemon_ends_it()
    {
        daemon.Control.Watched.Add(Examples.State());
        daemon.Control.Watched.Add(new State { Devices = { new Device { Name = "pad", Placement = "host", Owner = "host" } } });
        daemon.Control.Watched.Add(new State());
        daemon.Control.Before = context => daemon.Control.Asked.Count > 2 ? throw FakeControl.Refusal(1, "the daemon stops") : Task.CompletedTask;
        var run = await RunAsync("status", "--watch", "--json");
        Assert.Equal((1, "kvmswitch: the daemon stops\n"), (run.Exit, run.Error));
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal(2, lines.Length);
        using var second = JsonDocument.Parse(lines[1]);
        Assert.Equal("pad", second.RootElement.GetProperty("devices")[0].GetProperty("name").GetString());
    }

    [Fact]
    public async Task Watch_on_a_terminal_uses_a_screen_of_its_own_and_leaves_the_last_state_behind()
    {
        daemon.Control.Watched.Add(Examples.State());
        using var stop = new CancellationTokenSource();
        var run = await CliRun.Async(
            ["status", "--watch", "--no-color", "--socket", daemon.Socket],
            around => around with { OutIsTerminal = true, Out = new StopAtText(around.Out, "SET", stop) },
            stop.Token);
        Assert.Equal((130, ""), (run.Exit, run.Error));
        Assert.StartsWith("\e[?1049h\e[H\e[2JMACHINE", run.Out);
        Assert.StartsWith("MACHINE", run.Out.Split("\e[?1049l")[1]);
        await daemon.Control.CallCancelled.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Give_asks_for_what_was_typed_and_prints_one_line()
    {
        var run = await RunAsync("give", "keyboard", "mouse", "--to", "win", "--for", "2m");
        Assert.Equal((0, "keyboard, mouse: host → win   412 ms\n", ""), (run.Exit, run.Out, run.Error));
        var expected = new GiveRequest { Targets = { "keyboard", "mouse" }, Machine = "win", TimeLimit = Duration.FromTimeSpan(TimeSpan.FromMinutes(2)), Gesture = "cli" };
        Assert.Equal([expected], daemon.Control.Asked);
    }

    [Fact]
    public async Task Give_as_json_is_the_handoff()
    {
        var run = await RunAsync("give", "desk", "--json");
        using var json = JsonDocument.Parse(run.Out);
        Assert.Equal(["id", "gesture", "devices", "from", "to", "outcome", "started", "duration_ms", "steps", "error", "uid"], Keys(json.RootElement));
        Assert.Equal(412.346, json.RootElement.GetProperty("duration_ms").GetDouble());
        Assert.Equal(
            """[{"name":"attach","device":"keyboard","start_ms":0.4,"duration_ms":182.1,"error":null},{"name":"confirm","device":"keyboard","start_ms":182.5,"duration_ms":229.8,"error":"late"}]""",
            JsonSerializer.Serialize(json.RootElement.GetProperty("steps")));
    }

    [Theory]
    [InlineData("timed-out", 5, "kvmswitch: no confirmation\n")]
    [InlineData("rolled-back", 1, "kvmswitch: no confirmation\n")]
    [InlineData("failed", 1, "kvmswitch: no confirmation\n")]
    public async Task An_outcome_that_is_no_success_is_none_for_a_script(string outcome, int exit, string error)
    {
        daemon.Control.Handoff = new Handoff { Devices = { "keyboard" }, Outcome = outcome, Error = "no confirmation" };
        var run = await RunAsync("give", "keyboard");
        Assert.Equal((exit, error), (run.Exit, run.Error));
    }

    [Fact]
    public async Task Take_and_toggle_ask_for_what_was_typed()
    {
        await RunAsync("take", "--all");
        await RunAsync("take", "desk", "-v");
        await RunAsync("toggle", "desk", "--to", "win");
        object[] expected =
        [
            new TakeRequest { All = true, Gesture = "cli" },
            new TakeRequest { Targets = { "desk" }, Gesture = "cli" },
            new GiveRequest { Targets = { "desk" }, Machine = "win", Gesture = "cli" },
        ];
        Assert.Equal(expected, daemon.Control.Asked);
    }

    [Fact]
    public async Task Starting_stopping_and_killing_a_machine_tell_each_step()
    {
        daemon.Control.Progress.Add(new MachineProgress { Text = "starting QEMU", ElapsedMs = 20 });
        daemon.Control.Progress.Add(new MachineProgress { Text = "win runs", Done = true, ElapsedMs = 1234 });
        var run = await RunAsync("vm", "start", "win");
        Assert.Equal((0, "   0.0 s  starting QEMU\n   1.2 s  win runs\n", ""), (run.Exit, run.Out, run.Error));
        var stop = await RunAsync("vm", "stop", "--timeout", "5s", "--json");
        Assert.Equal("""{"text":"starting QEMU","done":false,"elapsed_ms":20}""", stop.Out.Split('\n')[0]);
        await RunAsync("vm", "restart", "win", "--timeout", "5s");
        await RunAsync("vm", "kill", "win");
        object[] expected =
        [
            new MachineRequest { Machine = "win" },
            new StopMachineRequest { Timeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(5)) },
            new StopMachineRequest { Machine = "win", Timeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(5)) },
            new MachineRequest { Machine = "win" },
        ];
        Assert.Equal(expected, daemon.Control.Asked);
    }

    [Fact]
    public async Task A_machine_that_fails_to_start_says_why_after_its_steps()
    {
        daemon.Control.Progress.Add(new MachineProgress { Text = "starting QEMU" });
        daemon.Control.Failure = FakeControl.Refusal(1, "the disk image /x is missing");
        var run = await RunAsync("vm", "start");
        Assert.Equal((1, "   0.0 s  starting QEMU\n", "kvmswitch: the disk image /x is missing\n"), (run.Exit, run.Out, run.Error));
    }

    [Fact]
    public async Task Progress_that_just_ends_is_not_taken_for_done()
    {
        daemon.Control.Progress.Add(new MachineProgress { Text = "starting QEMU" });
        var run = await RunAsync("vm", "start");
        Assert.Equal(3, run.Exit);
        Assert.StartsWith("kvmswitch: the daemon closed the connection before it had answered", run.Error);
    }

    [Fact]
    public async Task Machines_guests_arguments_and_history_are_listed()
    {
        Assert.StartsWith("MACHINE", (await RunAsync("vm", "list")).Out);
        Assert.StartsWith("/usr/bin/qemu-system-x86_64 \\\n  -name win", (await RunAsync("vm", "args")).Out);
        Assert.StartsWith("GUEST", (await RunAsync("guest", "list")).Out);
        Assert.StartsWith("WHEN", (await RunAsync("history")).Out);
        foreach (string[] verb in new string[][] { ["vm", "list"], ["vm", "args"], ["guest", "list"], ["history"], ["guest", "pair"], ["guest", "revoke", "77"], ["guest", "tools"], ["guest", "tools", "--remove"] })
        {
            using var json = JsonDocument.Parse((await RunAsync([.. verb, "--json"])).Out);
            Assert.Equal(JsonValueKind.Object, json.RootElement.ValueKind);
        }
    }

    [Fact]
    public async Task Pairing_prints_the_code_and_what_to_do_with_it()
    {
        var run = await RunAsync("guest", "pair", "win");
        Assert.Equal("KS1-abc\n\nIn the guest of 'win', run within 10m:\n  kvmswitch-agent join KS1-abc\n", run.Out);
    }

    [Fact]
    public async Task A_disc_is_told_with_what_to_do_in_the_guest_and_what_is_missing_on_it()
    {
        var run = await RunAsync("guest", "tools", "win");
        Assert.Equal(
            """
            'win' sees a disc with kvmswitch.join, setup.cmd.
            In Windows, open setup.cmd on it; in Linux, mount it and run 'sh setup.sh' as root. An agent that is installed
            already pairs by itself. The disc goes away when the guest has paired, or in 10m.
            nothing for Linux: kvmswitch-agent is not in /tools

            """,
            run.Out);
        Assert.Equal("the disc is gone, and its code is void\n", (await RunAsync("guest", "tools", "win", "--remove")).Out);
        Assert.Equal("there was no disc\n", (await RunAsync("guest", "tools", "--remove")).Out);
    }

    [Fact]
    public async Task Revoking_a_stranger_fails()
    {
        Assert.Equal("revoked 3f09a1\n", (await RunAsync("guest", "revoke", "3f09a1")).Out);
        var run = await RunAsync("guest", "revoke", "ghost");
        Assert.Equal((1, "kvmswitch: no paired guest is called 'ghost': 'kvmswitch guest list' shows them\n"), (run.Exit, run.Error));
    }

    [Fact]
    public async Task Names_for_completion_come_one_a_line()
    {
        Assert.Equal("desk\nkeyboard\nmouse\naudio\nstick\n", (await RunAsync("complete", "devices")).Out);
        Assert.Equal("win\nold\n", (await RunAsync("complete", "machines")).Out);
        Assert.Equal("3f09a1\nwin\n", (await RunAsync("complete", "guests")).Out);
    }

    private static IEnumerable<string> Keys(JsonElement element) => element.EnumerateObject().Select(property => property.Name);

    private Task<CliRun> RunAsync(params string[] args) => CliRun.AsyncWith(daemon, args);
}
