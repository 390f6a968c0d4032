using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>
/// Handoffs on all routes, and everything that may go wrong, in an order that nobody chose. Afterwards everything is home and works, no key is
/// down, and nothing has leaked. KVMSWITCH_LAB_CHAOS says how many steps, KVMSWITCH_LAB_SEED which.
/// </summary>
[Collection(nameof(LabTier))]
public sealed class ChaosScenario(LabHost lab)
{
    private const int Steps = 40;

    // A change that breaks it must be told from a seed that nobody has tried: others are for whoever asks for them.
    private const int Seed = 11738;

    // A socket or two of the runtime's own, which come and go.
    private const int Slack = 3;

    private static readonly Dictionary<string, string> Drivers = new(StringComparer.Ordinal)
    {
        ["desk:1"] = "usbhid",
        ["desk:2"] = "usbhid",
        ["desk:3"] = "usbhid",
        ["desk:4.1"] = "usbhid",
        ["desk:4.2"] = "usbhid",
        ["rear:2"] = "snd-usb-audio",
        ["rear:3"] = "usbhid",
        ["rear/super:1"] = "usb-storage",
    };

    private readonly StringBuilder _story = new();
    private readonly HashSet<string> _held = new(StringComparer.Ordinal);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 7_200_000)]
    public async Task After_any_chaos_everything_is_home_and_nothing_has_leaked()
    {
        var (count, seed) = (Number("KVMSWITCH_LAB_CHAOS") ?? Steps, Number("KVMSWITCH_LAB_SEED") ?? Seed);
        TestContext.Current.TestOutputHelper?.WriteLine($"chaos: {count} steps, seed {seed}");
        await lab.SettleAsync();
        var began = (Host: lab.HostSide.Sightings.Count, Peripherals: await PeripheralsAsync());
        await using var state = await SmallStateAsync();
        try
        {
            foreach (var step in ChaosPlan.Steps(seed, count)) await DoAsync(step);
            await EndAsync(began.Host, began.Peripherals);
        }
        catch (Exception failure) when (failure is not OperationCanceledException || !Stop.IsCancellationRequested)
        {
            var journal = await lab.Shell.TryRunAsync("journalctl -u kvmswitchd --no-pager -n 150; kvmswitch status; kvmswitch history", CancellationToken.None);
            throw new InvalidOperationException($"chaos of {count} steps with seed {seed}: {failure.Message}\n{_story}\n{journal.Output}", failure);
        }
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Has the daemon's state on a disk that is quickly filled, until it is disposed.</summary>
    private async Task<IAsyncDisposable> SmallStateAsync()
    {
        await lab.Shell.RunAsync(
            "systemctl stop kvmswitchd; d=/var/lib/kvmswitch; cp -a $d /run/small && mount -t tmpfs -o size=1m,mode=700 tmpfs $d && cp -a /run/small/. $d && lab-settle", Stop);
        return new Ending(() => lab.Shell.RunAsync(
            "systemctl stop kvmswitchd; rm -rf /run/small; d=/var/lib/kvmswitch; cp -a $d /run/small && umount $d && cp -a /run/small/. $d; rm -rf /run/small; lab-settle",
            CancellationToken.None));
    }

    private async Task DoAsync(ChaosStep step)
    {
        var started = Stopwatch.GetTimestamp();
        var said = await ActAsync(step);
        _story.Append(CultureInfo.InvariantCulture, $"{step}: {said} ({Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s)\n");

        // Whatever has just happened: the daemon answers.
        await lab.RunAsync("status");
    }

    private async Task<string> ActAsync(ChaosStep step)
    {
        switch (step.Act)
        {
            case ChaosAct.Give or ChaosAct.Take or ChaosAct.Toggle:
                return await SayAsync(step.Act.ToString().ToLowerInvariant(), step.Subject);
            case ChaosAct.TakeAll:
                return await SayAsync("take", "--all");
            case ChaosAct.TwoAtOnce:
                return string.Join("; ", await Task.WhenAll(SayAsync("give", step.Subject), SayAsync("toggle", step.Other)));
            case ChaosAct.HoldKey:
                if (_held.Add(step.Subject) && await IsPluggedAsync(step.Subject)) await lab.Hardware.KeyAsync(step.Subject, "d", down: true, Stop);
                return "held";
            case ChaosAct.ReleaseKeys:
                await ReleaseAsync();
                return "released";
            case ChaosAct.Unplug:
                if (await IsPluggedAsync(step.Subject)) await lab.Hardware.UnplugAsync(step.Subject, Stop);
                _held.Remove(step.Subject);
                return "unplugged";
            case ChaosAct.Plug:
                if (!await IsPluggedAsync(step.Subject)) await lab.Hardware.PlugAsync(step.Subject, Stop);
                return "plugged in";
            case ChaosAct.ChangeDisc:
                await lab.Hardware.DiscAsync(step.Subject.Length == 0 ? null : int.Parse(step.Subject, CultureInfo.InvariantCulture), Stop);
                return "changed";
            case ChaosAct.TakeWhileQemuHangs:
                return await SayAsync("give", step.Subject) + await TakeDuringAsync(lab.WhileQemuHangsAsync);
            case ChaosAct.TakeWhileGuestIsPaused:
                return await SayAsync("give", step.Subject) + await TakeDuringAsync(lab.WhileGuestIsPausedAsync);
            case ChaosAct.GiveWhileDiskIsFull:
                return await GiveOnFullDiskAsync(step.Subject);
            default:
                await HurtAsync(step.Act);
                return "done";
        }
    }

    private async Task HurtAsync(ChaosAct act)
    {
        switch (act)
        {
            case ChaosAct.KillAgent:
                await lab.TypeInGuestAsync("kill -KILL $(cat /run/agent.pid)");
                return;
            case ChaosAct.KillDaemon:
                await lab.KillDaemonAsync();
                break;
            case ChaosAct.KillQemu:
                await lab.Shell.RunAsync("kill -KILL $(cat /run/kvmswitch/machines/win/qemu.pid)", Stop);
                break;
            case ChaosAct.PanicGuest:
                await lab.TypeInGuestAsync("echo c > /proc/sysrq-trigger");
                await lab.Shell.RunAsync("""timeout 60 sh -c 'while kvmswitch status --json | grep -q "\"placement\": *\"win\""; do sleep 0.3; done'; kvmswitch vm kill win || true""", Stop);
                break;
        }

        // Whoever sits there has the machine back up before they go on.
        if (act is not ChaosAct.KillDaemon)
            await lab.Shell.RunAsync("timeout 60 sh -c 'while kvmswitch vm list | grep -q \"^win *running\"; do sleep 0.2; done'", Stop);
        await lab.Shell.RunAsync("lab-settle", Stop, TimeSpan.FromMinutes(5));
    }

    private async Task<string> TakeDuringAsync(Func<Func<Task>, Task> during)
    {
        var said = "";
        await during(async () => said = await SayAsync("take", "--all"));
        return $", then {said}";
    }

    private async Task<string> GiveOnFullDiskAsync(string target)
    {
        await lab.Shell.TryRunAsync("dd if=/dev/zero of=/var/lib/kvmswitch/ballast bs=4k 2>/dev/null", Stop);
        try
        {
            return $"{await SayAsync("give", target)}, then {await SayAsync("take", "--all")}";
        }
        finally
        {
            await lab.Shell.RunAsync("rm -f /var/lib/kvmswitch/ballast", Stop);
        }
    }

    /// <summary>Runs a command, and tells how it ended. It may fail, but in one of the ways that it promises.</summary>
    private async Task<string> SayAsync(params string[] words)
    {
        var result = await lab.TryRunAsync(words);
        Assert.True(result.ExitCode is 0 or 1 or 4 or 5, $"{string.Join(' ', words)} ended with {result.ExitCode}: {result.Error}");
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        return $"{string.Join(' ', words)} = {result.ExitCode} {result.Error.Trim()}".TrimEnd();
    }

    private async Task<bool> IsPluggedAsync(string name) => await lab.Hardware.IsPluggedAsync(name, Stop);

    private async Task ReleaseAsync()
    {
        foreach (var keyboard in _held)
        {
            if (await IsPluggedAsync(keyboard)) await lab.Hardware.KeyAsync(keyboard, "d", down: false, Stop);
        }

        _held.Clear();
    }

    private async Task EndAsync(int host, string peripherals)
    {
        await ReleaseAsync();
        await lab.SettleAsync();
        var state = await lab.RunAsync("status");
        Assert.All(state["devices"]!.AsArray(), device => Assert.True(
            (string?)device!["placement"] == "host" && string.IsNullOrEmpty((string?)device["trouble"]), device.ToJsonString()));
        foreach (var (place, driver) in Drivers) Assert.Equal(driver, await lab.DriversAsync(place));
        await TypeOnAllAsync();
        Assert.Empty(KeysDown(lab.HostSide, host));
        Assert.Empty(KeysDown(lab.GuestSide, 0));
        Assert.Equal(peripherals, await PeripheralsAsync());
        await AssertQemuHoldsNothingAsync();
        await AssertNoDescriptorLeakedAsync();
    }

    private async Task TypeOnAllAsync()
    {
        foreach (var keyboard in ChaosPlan.Keyboards)
        {
            var from = lab.HostSide.Sightings.Count;
            await lab.Hardware.PressAsync(keyboard, "a", Stop);
            await lab.HostSide.KeyAsync(LabKeys.A, from);
            await lab.HostSide.ReleaseAsync(LabKeys.A, from);
        }
    }

    /// <summary>Keys that went down and did not go up, of devices that are still there.</summary>
    private static HashSet<(string Device, int Code)> KeysDown(GuestWatch side, int from)
    {
        var down = new HashSet<(string Device, int Code)>();
        foreach (var entry in side.Sightings.Entries.Skip(from).Select(sighting => sighting.Data))
        {
            if ((string?)entry["event"] == "gone" || ((string?)entry["event"] == "present" && (bool?)entry["ready"] == false))
                down.RemoveWhere(key => key.Device == (string?)entry["key"]);
            if ((string?)entry["event"] != "key") continue;
            var key = ((string)entry["device"]!, (int)entry["code"]!);
            if ((bool?)entry["down"] == true) down.Add(key);
            else down.Remove(key);
        }

        return down;
    }

    /// <summary>QEMU 10 keeps the record of a set whose descriptors are all closed: what counts is what is open.</summary>
    private async Task AssertQemuHoldsNothingAsync()
    {
        Assert.DoesNotContain("\"fd\":", await lab.QmpAsync("query-fdsets"), StringComparison.Ordinal);
        Assert.Equal("", await lab.Shell.RunAsync(
            "ls -l /proc/$(cat /run/kvmswitch/machines/win/qemu.pid)/fd | grep -E '/dev/(bus/usb|vfio/[0-9]|sg|sr)' || true", Stop));
    }

    private async Task AssertNoDescriptorLeakedAsync()
    {
        var after = await DescriptorsAsync();
        await lab.Shell.RunAsync("systemctl restart kvmswitchd && lab-settle", Stop);
        await lab.RunAsync("status");
        var fresh = await DescriptorsAsync();
        Assert.True(after.Count <= fresh.Count + Slack, $"the daemon has {after.Count} descriptors, a fresh one {fresh.Count}:\n{after.List}");
    }

    private async Task<(int Count, string List)> DescriptorsAsync()
    {
        var list = await lab.Shell.RunAsync("ls -l /proc/$(systemctl show -P MainPID kvmswitchd)/fd | sed -n 's/.* -> //p' | sort", Stop);
        return (list.Split('\n').Length, list);
    }

    private async Task<string> PeripheralsAsync()
    {
        var listed = JsonNode.Parse(await lab.QmpAsync("qom-list", "{\"path\":\"/machine/peripheral\"}"))!.AsArray();
        return string.Join(' ', listed.Select(entry => (string)entry!["name"]!).Order(StringComparer.Ordinal));
    }
}
