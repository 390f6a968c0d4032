using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>A machine that somebody else runs: all switching works, and starting and stopping is theirs.</summary>
public sealed class ExternalScenarios
{
    private const string Keyboard = "kvmswitch-device-keyboard";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task Devices_go_there_for_a_limited_time_and_come_back()
    {
        await using var host = await CreateAsync();
        await using var qemu = await StartQemuAsync(host);
        await host.StartDaemonAsync(Stop);
        await WaitForPowerAsync(host, "running");

        await Refused.ByCommandAsync(host, Refused.Declined, ["no agent is live in theirs", "--for"], "give", "keyboard");
        var given = await host.RunAsync(Stop, "give", "desk", "--for", "10m");

        Assert.Equal("done", (string?)given["outcome"]);
        Assert.Equal("theirs", await host.PlacementOfAsync("keyboard", Stop));

        // QEMU's own word, while nobody else speaks with it: devices stay where they are without the daemon.
        await host.EndDaemonAsync(ProcessSignal.Terminate, Stop);
        Assert.Contains(Keyboard, await PeripheralsAsync(host));
        await host.StartDaemonAsync(Stop);
        Assert.Equal("theirs", await host.PlacementOfAsync("keyboard", Stop));

        await host.RunAsync(Stop, "take", "desk");
        Assert.Equal("host", await host.PlacementOfAsync("keyboard", Stop));
        await host.EndDaemonAsync(ProcessSignal.Terminate, Stop);
        Assert.DoesNotContain(Keyboard, await PeripheralsAsync(host));
        Assert.False(qemu.HasExited, "the daemon ended a QEMU that isn't its own");
    }

    [Fact(Timeout = 300_000)]
    public async Task Starting_and_stopping_say_whose_it_is()
    {
        await using var host = await CreateAsync();
        await using var qemu = await StartQemuAsync(host);
        await host.StartDaemonAsync(Stop);
        await WaitForPowerAsync(host, "running");

        foreach (var command in new[] { "start", "stop", "kill", "args" })
            await Refused.ByCommandAsync(host, Refused.Declined, ["theirs is an external machine"], "vm", command, "theirs");

        Assert.Equal("external", (string?)(await host.RunAsync(Stop, "vm", "list"))["machines"]![0]!["kind"]);
        Assert.False(qemu.HasExited, "the daemon ended a QEMU that isn't its own");
    }

    [Fact(Timeout = 300_000)]
    public async Task It_is_found_when_it_comes_and_everything_is_home_when_it_goes()
    {
        await using var host = await CreateAsync();
        await host.StartDaemonAsync(Stop);
        await Refused.ByCommandAsync(host, Refused.Declined, ["theirs is not running"], "give", "keyboard", "--for", "10m");
        await using (var qemu = await StartQemuAsync(host))
        {
            await WaitForPowerAsync(host, "running");
            await host.RunAsync(Stop, "give", "keyboard", "--for", "10m");
            qemu.Send(ProcessSignal.Kill);
            await host.WaitForStateAsync(state => SharedDemo.PlacementIn(state, "keyboard") == "host", "the keyboard is home", Stop);
            await host.WaitForStateAsync(
                state => (string?)state["machines"]![0]!["power"] is "crashed" or "off", "the machine counts as gone", Stop);
        }

        await using var next = await StartQemuAsync(host);
        await WaitForPowerAsync(host, "running");
        await host.RunAsync(Stop, "give", "keyboard", "--for", "10m");
        Assert.Equal("theirs", await host.PlacementOfAsync("keyboard", Stop));
    }

    private static string SocketOf(DemoHost host) => Path.Combine(host.Directory, "their-qmp.sock");

    private static Task<DemoHost> CreateAsync() => DemoHost.CreateAsync(SharedDemo.Inputs, Stop, text =>
    {
        // The directory is known from the text alone.
        const string Kernel = "kernel = \"";
        var from = text.IndexOf(Kernel, StringComparison.Ordinal) + Kernel.Length;
        var directory = text[from..text.IndexOf("/vmlinux", from, StringComparison.Ordinal)];
        return $"""
            [machine.theirs]
            kind = "external"
            qmp = "{directory}/their-qmp.sock"
            usb_buses = ["xhci.0"]
            usb_ports = 4

            [device.keyboard]
            route = "virtual"
            driver = "usb-kbd"

            [device.mouse]
            route = "virtual"
            driver = "usb-mouse"

            [set.desk]
            devices = ["keyboard", "mouse"]
            """;
    });

    /// <summary>As somebody's script would start it; it has no guest, which no command here needs.</summary>
    private static async Task<ChildProcess> StartQemuAsync(DemoHost host)
    {
        File.Delete(SocketOf(host));
        var qemu = ChildProcess.Start("qemu-system-x86_64",
        [
            "-M", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none", "-device", "qemu-xhci,id=xhci,p2=4,p3=4",
            "-qmp", $"unix:{SocketOf(host)},server=on,wait=off",
        ]);
        await Condition.HoldsAsync(
            () => qemu.HasExited
                ? throw new InvalidOperationException($"QEMU ended at once: {string.Join(" / ", qemu.Lines.Entries.Select(line => line.Text))}")
                : File.Exists(SocketOf(host)),
            "QEMU has made its socket", Refused.Patience, Stop);
        return qemu;
    }

    private static Task<JsonNode> WaitForPowerAsync(DemoHost host, string power) => host.WaitForStateAsync(
        state => (string?)state["machines"]![0]!["power"] == power, $"the machine is {power}", Stop);

    private static async Task<IReadOnlyList<string>> PeripheralsAsync(DemoHost host)
    {
        await using var client = await QmpClient.ConnectAsync(SocketOf(host), cancellationToken: Stop);
        return await client.ListPeripheralsAsync(Stop);
    }
}
