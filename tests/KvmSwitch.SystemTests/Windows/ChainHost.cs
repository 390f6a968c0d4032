using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>
/// The real daemon with a QEMU of its own that runs no guest at all: the Windows beside it, under Wine, links over the loopback address and takes the guest's
/// part. Its devices don't reach that Windows by themselves: either they are given while no agent is live, for a limited time, which needs no confirmation, or
/// a <see cref="WineUsb"/> plugs in there what QEMU has.
/// </summary>
internal sealed partial class ChainHost : IAsyncDisposable
{
    public const string Machine = "win";
    private const string DevicePrefix = "kvmswitch-device-";
    private readonly ChildProcess _qemu;
    private readonly QmpClient _qmp;

    private ChainHost(DemoHost host, ChildProcess qemu, QmpClient qmp) => (Host, _qemu, _qmp) = (host, qemu, qmp);

    public DemoHost Host { get; }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <param name="keyboardClass">
    /// "other": that Windows sees it is enough; it need not tell that its driver has started, which CM_Get_DevNode_Status never does in Wine 8 (it returns
    /// CR_SUCCESS and writes nothing).
    /// </param>
    /// <param name="clock">How far the host's clock is ahead of everybody else's.</param>
    public static async Task<ChainHost> StartAsync(string keyboardClass = "hid", TimeSpan clock = default)
    {
        var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop, text => Configuration(text, keyboardClass));
        var (socket, own) = (Path.Combine(host.Directory, "win-qmp.sock"), Path.Combine(host.Directory, "test-qmp.sock"));
        var qemu = ChildProcess.Start("qemu-system-x86_64",
        [
            "-M", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none",
            "-device", "qemu-xhci,id=xhci,p2=4,p3=4", "-qmp", $"unix:{socket},server=on,wait=off", "-qmp", $"unix:{own},server=on,wait=off",
        ]);
        await Condition.HoldsAsync(
            () => (File.Exists(socket) && File.Exists(own)) || (qemu.HasExited ? throw new InvalidOperationException("QEMU ended at once") : false),
            "QEMU has made its sockets", WineDesktop.Patience, Stop);
        await host.StartDaemonAsync(Stop, clock == TimeSpan.Zero ? null : Clock(clock));
        var chain = new ChainHost(host, qemu, await QmpClient.ConnectAsync(own, cancellationToken: Stop));
        await chain.SeesAsync(machine => (string?)machine["power"] == "running", "the machine is there");
        return chain;
    }

    /// <summary>A code for pairing, as a user gets it.</summary>
    public async Task<string> PairingCodeAsync() => (await Host.RunAsync(Stop, "guest", "pair", Machine))["code"]!.GetValue<string>();

    public Task GiveAsync(string target) => Host.RunAsync(Stop, "give", target, "--to", Machine, "--for", "10m");

    /// <summary>Gives a device for good, which the guest's agent has to confirm; its Windows has it as soon as QEMU has.</summary>
    public async Task GiveAsync(string device, WineUsb usb)
    {
        var giving = Host.RunAsync(Stop, "give", device, "--to", Machine);
        await Condition.HoldsAsync(
            async () => await IsPluggedInAsync(device) || (giving.IsCompleted ? throw new InvalidOperationException($"given without QEMU: {await giving}") : false),
            $"QEMU has the {device}", WineDesktop.Patience, Stop);
        Assert.False(giving.IsCompleted, "the host did not wait for the guest");
        var path = $"/machine/peripheral/{DevicePrefix}{device}";
        var (serial, port) = (await _qmp.QomGetAsync(path, "serial", Stop), await _qmp.QomGetAsync(path, "port", Stop));
        await usb.PlugInAsync(serial.GetString()!, port.GetString()!);
        await giving;
    }

    /// <summary>QEMU itself lists it.</summary>
    public async Task<bool> IsPluggedInAsync(string device) => (await _qmp.ListPeripheralsAsync(Stop)).Contains(DevicePrefix + device);

    public Task WaitForLinkAsync(bool live) => SeesAsync(
        machine => machine["agent_live"]!.GetValue<bool>() == live, live ? "the agent is live" : "the agent is gone");

    public Task WaitForHomeAsync(string device) => Host.WaitForStateAsync(
        state => SharedDemo.PlacementIn(state, device) == "host", $"{device} is home", Stop);

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await _qmp.DisposeAsync();
        await _qemu.DisposeAsync();
    }

    // libfaketime; the linker puts its own directory of libraries for $LIB (ld.so(8)). Time spans and files keep their own time.
    private static Dictionary<string, string?> Clock(TimeSpan ahead) => new(StringComparer.Ordinal)
    {
        ["LD_PRELOAD"] = "/usr/$LIB/faketime/libfaketime.so.1",
        ["FAKETIME"] = FormattableString.Invariant($"{ahead.TotalSeconds:+0;-0}"),
        ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
        ["NO_FAKE_STAT"] = "1",
    };

    private Task<JsonNode> SeesAsync(Func<JsonNode, bool> wanted, string what) => Host.WaitForStateAsync(state => wanted(state["machines"]![0]!), what, Stop);

    private static string Configuration(string demo, string keyboardClass)
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
            class = "{keyboardClass}"
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
