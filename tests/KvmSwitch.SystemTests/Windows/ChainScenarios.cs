using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>The whole chain: tray or hotkey, service, mutual TLS, daemon, QEMU.</summary>
[Collection(nameof(WineTier))]
public sealed partial class ChainScenarios(WineDesktop windows, ITestOutputHelper output)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 240_000)]
    public async Task Devices_come_home_by_click_and_by_hotkey_and_a_killed_service_links_again()
    {
        await using var chain = await ChainHost.StartAsync();
        await using var service = await InstallAsync(chain);

        await chain.GiveAsync("desk");
        await StartServiceAsync(chain);
        await using (var tray = await TrayOnScreen.StartAsync(windows))
        {
            await WaitForStateAsync(state => Here(state, "keyboard") && Here(state, "mouse"), "keyboard and mouse are here");
            await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the icon says so");
            var menu = await tray.OpenMenuAsync();
            await windows.Screen.SaveAsync("chain-menu");
            await windows.Screen.ClickAsync(TrayOnScreen.Row(menu, 10));
            await chain.WaitForHomeAsync("keyboard");
            await chain.WaitForHomeAsync("mouse");

            await StopServiceAsync(chain);
            await chain.GiveAsync("keyboard");
            await StartServiceAsync(chain);
            await WaitForStateAsync(state => Here(state, "keyboard") && (string?)state["hotkeys"]?[0]?["chord"] is not null, "the hotkey is in force");
            await PressUntilHomeAsync(chain);

            await DieAsync(chain);
        }
    }

    [Fact(Timeout = 240_000)]
    public async Task What_Windows_confirmed_comes_home_within_the_lease_of_a_killed_service_which_links_again()
    {
        await using var chain = await ChainHost.StartAsync(keyboardClass: "other");
        await using var service = await InstallAsync(chain);
        await StartServiceAsync(chain);
        await using var usb = new WineUsb(windows);
        await chain.GiveAsync("keyboard", usb);
        await WaitForStateAsync(state => Here(state, "keyboard"), "the keyboard is here");

        await KillServiceAsync();
        var killed = TimeProvider.System.GetTimestamp();
        await chain.WaitForHomeAsync("keyboard");
        output.WriteLine($"home {TimeProvider.System.GetElapsedTime(killed).TotalMilliseconds:0} ms after the service was killed");
        var history = await chain.Host.RunAsync(Stop, "history");
        Assert.Equal("lease", (string?)history["handoffs"]!.AsArray()[^1]!["gesture"]);
        Assert.False(await chain.IsPluggedInAsync("keyboard"), "QEMU still has the keyboard");
        await usb.PlugOutAsync(told: false);

        await StartServiceAsync(chain);
        await WaitForStateAsync(state => (string?)state["link"] == "Connected" && !Here(state, "keyboard"), "the state is right again");
        await chain.GiveAsync("keyboard", usb);
        await WaitForStateAsync(state => Here(state, "keyboard"), "the keyboard is here again");
        await chain.Host.RunAsync(Stop, "take", "keyboard");
        await usb.PlugOutAsync(told: true);
    }

    [Fact(Timeout = 240_000)]
    public async Task The_host_goes_and_comes_back()
    {
        await using var chain = await ChainHost.StartAsync();
        await using var service = await InstallAsync(chain);
        await StartServiceAsync(chain);
        await WaitForStateAsync(state => (string?)state["link"] == "Connected", "the link is up");

        await chain.Host.EndDaemonAsync(ProcessSignal.Terminate, Stop);
        await WaitForStateAsync(state => (string?)state["link"] == "Unreachable", "the host is missed");
        var doctor = await windows.RunAsync(WineDesktop.Agent, "doctor");
        Assert.Equal(1, doctor.ExitCode);
        Assert.Contains("broken  host", doctor.Output, StringComparison.Ordinal);

        await chain.Host.StartDaemonAsync(Stop);
        await WaitForStateAsync(state => (string?)state["link"] == "Connected", "the link is up again");
        var refused = await windows.RunAsync(WineDesktop.Agent, "take", "nonsense");
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("nonsense", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", refused.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 240_000)]
    public async Task Clocks_that_are_years_apart_are_told_and_keep_nobody_from_pairing_and_linking()
    {
        var ahead = TimeSpan.FromDays(3 * 365);
        await using var chain = await ChainHost.StartAsync(clock: ahead);
        await using var service = await InstallAsync(chain);
        await StartServiceAsync(chain);

        await WaitForStateAsync(state => (string?)state["link"] == "Connected" && (string?)state["trouble"] is not null, "the link is up, and something is told");
        var doctor = await windows.RunAsync(WineDesktop.Agent, "doctor");
        Assert.Equal(1, doctor.ExitCode);
        var dates = Clocks().Match(doctor.Output);
        Assert.True(dates.Success, doctor.Output);
        output.WriteLine(dates.Value);
        Assert.InRange(DateOf(dates.Groups["there"]) - DateOf(dates.Groups["here"]), ahead - TimeSpan.FromDays(1), ahead + TimeSpan.FromDays(1));

        static DateTime DateOf(Group date) => DateTime.ParseExact(date.Value, "yyyy-MM-dd", CultureInfo.InvariantCulture);
    }

    [Fact(Timeout = 240_000)]
    public async Task Who_abuses_the_pipe_loses_that_session_and_nobody_else_anything()
    {
        await using var chain = await ChainHost.StartAsync();
        await using var service = await InstallAsync(chain);
        await StartServiceAsync(chain);

        var abuse = await windows.RunAsync(FakeService.Bridge, "abuse", "KvmSwitch.Agent");

        Assert.Equal(["garbage ended", "oversized ended", "flood ended"], abuse.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        await WaitForStateAsync(state => (string?)state["link"] == "Connected", "the service answers, and the link is up");
    }

    [GeneratedRegex("^broken +clock +The clock here says (?<here>[0-9-]+), the host's (?<there>[0-9-]+): set the one that is wrong\\.", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Clocks();

    private static bool Here(JsonNode state, string device) =>
        state["devices"]!.AsArray().Any(one => (string?)one!["name"] == device && one["here"]!.GetValue<bool>());

    /// <summary>Pairs this Windows and sets the service up; undone at the end.</summary>
    private async Task<Ending> InstallAsync(ChainHost chain)
    {
        var joined = await windows.RunAsync(WineDesktop.Agent, "join", await chain.PairingCodeAsync());
        Assert.True(joined.ExitCode == 0, joined.Error);
        var made = await windows.RunAsync("sc.exe", "create", "KvmSwitchAgent", "binPath=", $"{WineDesktop.WindowsPath(WineDesktop.Agent)} service");
        Assert.True(made.ExitCode == 0, made.Output);
        return new(async () =>
        {
            await windows.RunAsync("net.exe", "stop", "KvmSwitchAgent");
            await windows.RunAsync("sc.exe", "delete", "KvmSwitchAgent");
            await windows.RunAsync(WineDesktop.Agent, "forget");
        });
    }

    private async Task StartServiceAsync(ChainHost chain)
    {
        var linked = LinkedAsync();
        // Wine 8 takes a service for running until its old process has ended.
        await Condition.HoldsAsync(
            async () => (await windows.RunAsync("net.exe", "start", "KvmSwitchAgent")).ExitCode == 0, "the service is started", WineDesktop.Patience, Stop);
        var at = await linked;
        using var process = Process.GetProcessById(ServiceProcess().Key);
        output.WriteLine($"linked {(at - process.StartTime).TotalMilliseconds:0} ms after the service's process began; it has {WineProcesses.Memory(process.Id)}");
        output.WriteLine($"an idle cmd.exe has {WineProcesses.Memory(windows.Processes().First(one => one.Value.EndsWith("cmd.exe", StringComparison.Ordinal)).Key)}");

        async Task<DateTime> LinkedAsync()
        {
            await chain.WaitForLinkAsync(live: true);
            return DateTime.Now;
        }
    }

    private KeyValuePair<int, string> ServiceProcess() => windows.Processes().Single(
        process => process.Value.Contains("Agent.exe", StringComparison.Ordinal) && process.Value.EndsWith("service", StringComparison.Ordinal));

    private async Task StopServiceAsync(ChainHost chain)
    {
        await windows.RunAsync("net.exe", "stop", "KvmSwitchAgent");
        await chain.WaitForLinkAsync(live: false);
    }

    /// <summary>The tray registers the hotkey a moment after the state that tells of it.</summary>
    private async Task PressUntilHomeAsync(ChainHost chain)
    {
        await Condition.HoldsAsync(
            async () =>
            {
                await windows.Screen.KeyAsync("ctrl+alt+shift+h");
                return await chain.Host.PlacementOfAsync("keyboard", Stop) == "host";
            },
            "the hotkey brings the keyboard home", WineDesktop.Patience, Stop);
        var history = await chain.Host.RunAsync(Stop, "history");
        output.WriteLine($"newest handoff: {history["handoffs"]!.AsArray()[^1]!.ToJsonString()}");
    }

    private async Task KillServiceAsync()
    {
        var (pid, command) = ServiceProcess();
        await ForeignProcess.KillAsync(pid, command.Split(' ')[0], WineDesktop.Patience);
    }

    /// <summary>The service is killed: the host misses it; started again, it links again.</summary>
    private async Task DieAsync(ChainHost chain)
    {
        await KillServiceAsync();
        await chain.WaitForLinkAsync(live: false);
        await StartServiceAsync(chain);
        await WaitForStateAsync(state => (string?)state["link"] == "Connected" && !Here(state, "keyboard"), "the state is right again");
    }

    /// <summary>Asks the service, as a user's command line does, until it says what is wanted.</summary>
    private async Task WaitForStateAsync(Func<JsonNode, bool> wanted, string what)
    {
        var last = "nothing";
        try
        {
            await Condition.HoldsAsync(
                async () =>
                {
                    var result = await windows.RunAsync(WineDesktop.Agent, "status", "--json");
                    last = result.Output + result.Error;
                    return result.ExitCode == 0 && wanted(JsonNode.Parse(result.Output)!);
                },
                what, WineDesktop.Patience, Stop);
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException($"{late.Message}; the service's last word: {last}", late);
        }
    }
}
