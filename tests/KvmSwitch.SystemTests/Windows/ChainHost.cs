using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>
/// The real daemon with a QEMU of its own that runs no guest at all: the Windows beside it, under Wine, links over the loopback address and takes the guest's
/// part. It can't see QEMU's emulated keyboard arrive, so a device is given while no agent is live, for a limited time, which needs no confirmation.
/// </summary>
internal sealed partial class ChainHost : IAsyncDisposable
{
    public const string Machine = "win";
    private readonly ChildProcess _qemu;

    private ChainHost(DemoHost host, ChildProcess qemu) => (Host, _qemu) = (host, qemu);

    public DemoHost Host { get; }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static async Task<ChainHost> StartAsync()
    {
        var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop, text => Configuration(text));
        var socket = Path.Combine(host.Directory, "win-qmp.sock");
        var qemu = ChildProcess.Start("qemu-system-x86_64",
        [
            "-M", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none",
            "-device", "qemu-xhci,id=xhci,p2=4,p3=4", "-qmp", $"unix:{socket},server=on,wait=off",
        ]);
        await Condition.HoldsAsync(
            () => File.Exists(socket) || (qemu.HasExited ? throw new InvalidOperationException("QEMU ended at once") : false),
            "QEMU has made its socket", WineDesktop.Patience, Stop);
        await host.StartDaemonAsync(Stop);
        var chain = new ChainHost(host, qemu);
        await chain.SeesAsync(machine => (string?)machine["power"] == "running", "the machine is there");
        return chain;
    }

    /// <summary>A code for pairing, as a user gets it.</summary>
    public async Task<string> PairingCodeAsync() => (await Host.RunAsync(Stop, "guest", "pair", Machine))["code"]!.GetValue<string>();

    public Task GiveAsync(string target) => Host.RunAsync(Stop, "give", target, "--to", Machine, "--for", "10m");

    public Task WaitForLinkAsync(bool live) => SeesAsync(
        machine => machine["agent_live"]!.GetValue<bool>() == live, live ? "the agent is live" : "the agent is gone");

    public Task WaitForHomeAsync(string device) => Host.WaitForStateAsync(
        state => SharedDemo.PlacementIn(state, device) == "host", $"{device} is home", Stop);

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await _qemu.DisposeAsync();
    }

    private Task<JsonNode> SeesAsync(Func<JsonNode, bool> wanted, string what) => Host.WaitForStateAsync(state => wanted(state["machines"]![0]!), what, Stop);

    private static string Configuration(string demo)
    {
        var directory = Directory().Match(demo).Value;
        var port = Port().Match(demo).Value;
        return $"""
            [daemon]
            listen = ["127.0.0.1:{port}"]
            advertise = ["127.0.0.1:{port}"]

            [machine.{Machine}]
            kind = "external"
            qmp = "{directory}/win-qmp.sock"
            usb_buses = ["xhci.0"]
            usb_ports = 4

            [guest.{Machine}]
            may_request = ["mouse"]

            [device.keyboard]
            route = "virtual"
            driver = "usb-kbd"
            label = "Keyboard"

            [device.mouse]
            route = "virtual"
            driver = "usb-mouse"

            [set.desk]
            devices = ["keyboard", "mouse"]

            [[hotkey]]
            where = "guest"
            chord = "ctrl+alt+shift+h"
            action = "return"
            """;
    }

    [GeneratedRegex("(?<=kernel = \").*(?=/vmlinux)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Directory();

    [GeneratedRegex("(?<=127\\.0\\.0\\.1:)[0-9]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Port();
}
