using KvmSwitch.Proto.V1;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>The main job on the whole daemon: devices go, arrive, and come home; or all of them stay.</summary>
public sealed class HandoffScenarioTests
{
    private const string AllHome = "keyboard@host mouse@host drive@host";

    [Fact]
    public async Task The_history_knows_who_asked()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        await daemon.GiveAsync("drive");

        var uid = File.ReadLines("/proc/self/status").Single(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[2];
        Assert.Equal(uid, $"{(await daemon.NewestAsync()).Uid}");

        Assert.Equal("", await guest.AskAsync(GuestAction.Types.Verb.Return));
        Assert.Equal((-1, "hotkey"), ((await daemon.NewestAsync()).Uid, (await daemon.NewestAsync()).Gesture));
    }

    [Fact]
    public async Task When_the_guest_does_not_see_one_of_a_set_all_go_back()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        guest.Blind.Add("kvmswitch-device-mouse");
        var giving = RunningDaemon.RefusedAsync(() => daemon.GiveAsync("desk"));
        await daemon.Qemu.SeenAsync("device_add", 2).WaitAsync(RunningDaemon.Patience);
        await PassWithHeartbeatsAsync(daemon, guest, giving);

        var (exit, message) = await giving;

        Assert.Equal(5, exit);
        Assert.Contains("mouse", message, StringComparison.Ordinal);
        Assert.Empty(daemon.Plugged());
        Assert.Equal("timed-out", (await daemon.NewestAsync()).Outcome);
    }

    [Fact]
    public async Task Without_an_agent_a_keyboard_is_refused_but_for_a_limited_time_and_storage_goes()
    {
        await using var daemon = await RunningDaemon.StartAsync();

        var (exit, message) = await RunningDaemon.RefusedAsync(() => daemon.GiveAsync("keyboard"));
        Assert.Equal(4, exit);
        Assert.Contains("--for 2m", message, StringComparison.Ordinal);
        Assert.Equal("done", (await daemon.GiveAsync("drive")).Outcome);

        Assert.Equal("done", (await daemon.GiveAsync("keyboard", TimeSpan.FromSeconds(5))).Outcome);
        var device = (await daemon.StateAsync()).Devices.Single(device => device.Name == "keyboard");
        Assert.Equal(daemon.Time.GetUtcNow() + TimeSpan.FromSeconds(5), device.Until.ToDateTimeOffset());
        await daemon.PassTimeUntilAsync(daemon.WaitForPlacesAsync("keyboard@host mouse@host drive@win"));
        Assert.Equal("time-limit", (await daemon.NewestAsync()).Gesture);
    }

    [Fact]
    public async Task Of_two_gives_at_once_for_one_device_one_goes_through_and_the_other_is_told_why_not()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        var hold = new TaskCompletionSource();
        daemon.Qemu.Next("device_add", new FakeFault.AnswerAfter(hold.Task));
        var first = daemon.GiveAsync("desk");
        await daemon.Qemu.SeenAsync("device_add").WaitAsync(RunningDaemon.Patience);

        var (exit, message) = await RunningDaemon.RefusedAsync(() => daemon.GiveAsync("mouse"));
        hold.SetResult();

        Assert.Equal("done", (await first).Outcome);
        Assert.Equal(4, exit);
        Assert.Contains("being moved to win just now", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_device_that_was_seen_before_the_next_of_its_set_is_attached_stays_seen()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        var hold = new TaskCompletionSource();
        daemon.Qemu.Next("device_add", new FakeFault.AnswerAfter(hold.Task));
        var giving = daemon.GiveAsync("desk");
        await daemon.Qemu.SeenAsync("device_add").WaitAsync(RunningDaemon.Patience);
        await guest.SawAsync("kvmswitch-device-keyboard");
        hold.SetResult();

        // Without a moment's passing: on another controller than the keyboard's, the mouse's port has the same number.
        Assert.Equal("done", (await giving).Outcome);
    }

    [Fact]
    public async Task Take_all_ends_a_give_that_hangs()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        guest.Blind.Add("kvmswitch-device-keyboard");
        var giving = RunningDaemon.RefusedAsync(() => daemon.GiveAsync("keyboard"));
        await daemon.Qemu.SeenAsync("device_add").WaitAsync(RunningDaemon.Patience);

        var taken = await daemon.TakeAsync();

        Assert.Contains(taken.Outcome, (string[])["done", "unchanged"]);
        var (exit, message) = await giving;
        Assert.Equal(1, exit);
        Assert.Contains("asked for the devices back", message, StringComparison.Ordinal);
        Assert.Empty(daemon.Plugged());
        Assert.Equal(AllHome, await daemon.PlacesAsync());
    }

    [Fact]
    public async Task A_guest_gets_what_it_may_ask_for_and_nothing_else()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;

        Assert.Equal("", await guest.AskAsync(GuestAction.Types.Verb.Request, "mouse"));
        Assert.Equal(["mouse"], daemon.Plugged());
        Assert.Contains("may not ask for keyboard", await guest.AskAsync(GuestAction.Types.Verb.Request, "desk"), StringComparison.Ordinal);
        Assert.Contains("holds nothing of that", await guest.AskAsync(GuestAction.Types.Verb.Return, "drive"), StringComparison.Ordinal);
        daemon.Time.Advance(TimeSpan.FromSeconds(1));
        var unknown = await guest.AskAsync(GuestAction.Types.Verb.Request, "printer");
        Assert.Contains("no device or set 'printer'", unknown, StringComparison.Ordinal);
        Assert.DoesNotContain("drive", unknown, StringComparison.Ordinal);
        Assert.Equal(["mouse"], daemon.Plugged());
        Assert.Equal("", await guest.AskAsync(GuestAction.Types.Verb.Return));
        Assert.Empty(daemon.Plugged());
    }

    [Fact]
    public async Task A_guest_is_told_what_it_holds_and_may_have_and_no_more()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        await daemon.GiveAsync("keyboard");

        var state = await guest.StateAsync(state => state.Devices.Any(device => device is { Name: "keyboard", Moving: false }));

        Assert.Equal(["keyboard True False", "mouse False True"], state.Devices.Select(device => $"{device.Name} {device.Here} {device.MayRequest}"));
        Assert.Equal("desk", Assert.Single(state.Sets).Name);
    }

    [Fact]
    public async Task A_guest_may_not_take_from_another()
    {
        await using var daemon = await RunningDaemon.StartAsync("mac");
        await using var win = await daemon.LinkAsync();
        await using var mac = await daemon.LinkAsync("mac");
        await daemon.GiveAsync("mouse", machine: "mac");

        Assert.Contains("mouse is with mac", await win.AskAsync(GuestAction.Types.Verb.Request, "mouse"), StringComparison.Ordinal);
        Assert.Contains("holds nothing", await win.AskAsync(GuestAction.Types.Verb.Return, "mouse"), StringComparison.Ordinal);
        Assert.Equal(["mouse"], daemon.Plugged("mac"));

        Assert.Equal("done", (await daemon.GiveAsync("mouse")).Outcome);
        Assert.Equal(["mouse"], daemon.Plugged());
        Assert.Empty(daemon.Plugged("mac"));
    }

    [Fact]
    public async Task Wrong_names_and_limits_are_misuse_with_a_hint_and_change_nothing()
    {
        await using var daemon = await RunningDaemon.StartAsync("mac");
        (string Says, Func<Task> Call)[] misuses =
        [
            ("did you mean 'keyboard'?", () => daemon.GiveAsync("keybord")),
            ("did you mean 'win'?", () => daemon.GiveAsync("keyboard", machine: "wim")),
            ("which machine? There are win, mac", () => daemon.GiveAsync("keyboard", machine: "")),
            ("at most 24 hours", () => daemon.GiveAsync("keyboard", TimeSpan.FromDays(2))),
            ("more than 0", () => daemon.GiveAsync("keyboard", TimeSpan.Zero)),
            ("name at least one", () => daemon.Control.GiveAsync(new() { Machine = "win" }).ResponseAsync),
            ("not both", () => daemon.Control.TakeAsync(new() { All = true, Targets = { "desk" } }).ResponseAsync),
            ("no guest or machine", () => daemon.Control.RevokeGuestAsync(new() { Guest = "nobody" }).ResponseAsync),
        ];
        foreach (var (says, call) in misuses[..^1])
        {
            var (exit, message) = await RunningDaemon.RefusedAsync(call);
            Assert.Equal(2, exit);
            Assert.Contains(says, message, StringComparison.Ordinal);
        }

        Assert.InRange((await RunningDaemon.RefusedAsync(misuses[^1].Call)).Exit, 1, 4);
        Assert.Empty(await daemon.HistoryAsync());
        Assert.DoesNotContain(daemon.Qemu.Commands, command => command.Name.StartsWith("device_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Somebody_elses_machine_is_neither_started_nor_stopped()
    {
        await using var daemon = await RunningDaemon.StartAsync();
        using var call = daemon.Control.StopMachine(new() { Machine = "win" });
        var (exit, message) = await RunningDaemon.RefusedAsync(() => call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(4, exit);
        Assert.Contains("started its QEMU", message, StringComparison.Ordinal);
    }

    /// <summary>Time passes, and the agent is alive all along.</summary>
    private static async Task PassWithHeartbeatsAsync(RunningDaemon daemon, GuestWithEyes guest, Task until)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!until.IsCompleted)
        {
            patience.Token.ThrowIfCancellationRequested();
            daemon.Time.Advance(TimeSpan.FromSeconds(1));
            await guest.BeatAsync();
            await Task.WhenAny(until, Task.Delay(5));
        }
    }
}
