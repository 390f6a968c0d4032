using Grpc.Core;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>Whatever is lost while a guest holds devices: they come home, and nothing is forgotten or invented.</summary>
public sealed class LossScenarioTests
{
    private const string AllHome = "keyboard@host mouse@host drive@host";

    [Fact]
    public async Task Heartbeats_keep_the_lease_for_ever()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        await daemon.GiveAsync("keyboard");
        await daemon.SavedAsync();
        for (var i = 0; i < 10; i++)
        {
            daemon.Time.Advance(TimeSpan.FromSeconds(1.5));
            await guest.BeatAsync();

            // A round trip through the switching loop: the heartbeat before it has been counted.
            await daemon.TakeAsync("mouse");
        }

        Assert.Equal("keyboard@win mouse@host drive@host", await daemon.PlacesAsync());
    }

    [Theory]
    [InlineData("RESET", "guest-reset")]
    [InlineData("GUEST_PANICKED", "guest-panic")]
    [InlineData("SHUTDOWN", "guest-shutdown")]
    public async Task Without_waiting_for_the_lease_everything_comes_home_when_the_guest_is_gone(string happened, string gesture)
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        await daemon.GiveAsync("desk+drive");

        await daemon.Qemu.RaiseAsync(happened);

        await daemon.WaitForPlacesAsync(AllHome);
        Assert.Empty(daemon.Plugged());
        Assert.Equal(gesture, (await daemon.NewestAsync()).Gesture);

        Assert.Equal(StatusCode.Unavailable, (await guest.EndAsync()).StatusCode);
        Assert.Equal(4, (await RunningDaemon.RefusedAsync(() => daemon.GiveAsync("keyboard"))).Exit);
    }

    [Fact]
    public async Task A_reset_in_the_middle_of_a_give_ends_with_everything_home()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        guest.Blind.Add("kvmswitch-device-mouse");
        var giving = RunningDaemon.RefusedAsync(() => daemon.GiveAsync("desk"));
        await daemon.Qemu.SeenAsync("device_add", 2).WaitAsync(RunningDaemon.Patience);

        await daemon.Qemu.GuestResetAsync();

        Assert.NotEmpty((await giving).Message);
        await daemon.WaitForPlacesAsync(AllHome);
        Assert.Empty(daemon.Plugged());
    }

    [Fact]
    public async Task When_the_state_cannot_be_written_nothing_is_touched()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        daemon.Log.Expected.Add(1000);

        // Where the state would go, there is something that can't be replaced by a file.
        File.Delete(daemon.Paths.StateFile);
        Directory.CreateDirectory(Path.Combine(daemon.Paths.StateFile, "full"));
        var (exit, message) = await RunningDaemon.RefusedAsync(() => daemon.GiveAsync("keyboard"));

        Assert.Equal(1, exit);
        Assert.Contains("state", message, StringComparison.Ordinal);
        Assert.DoesNotContain(daemon.Qemu.Commands, command => command.Name == "device_add");
        Assert.Equal(AllHome, await daemon.PlacesAsync());

        Directory.Delete(daemon.Paths.StateFile, recursive: true);
        Assert.Equal("done", (await daemon.GiveAsync("keyboard")).Outcome);
    }

    [Fact]
    public async Task After_a_restart_an_agent_that_stays_away_loses_its_devices()
    {
        await using var daemon = await RunningDaemon.StartAsync();
        await using (var guest = await daemon.LinkAsync())
        {
            await daemon.GiveAsync("keyboard");
            await daemon.StopAsync();
        }

        await daemon.StartAgainAsync();
        await daemon.PassTimeUntilAsync(daemon.WaitForPlacesAsync(AllHome));
        Assert.Equal("lease", (await daemon.NewestAsync()).Gesture);
    }

    [Fact]
    public async Task A_handoff_that_a_crash_cut_short_goes_home_at_the_next_start()
    {
        await using var daemon = await RunningDaemon.StartAsync();
        await daemon.GiveAsync("drive");
        await daemon.StopAsync();
        var state = await File.ReadAllTextAsync(daemon.Paths.StateFile);
        Assert.Contains("\"drive\"", state, StringComparison.Ordinal);
        await File.WriteAllTextAsync(daemon.Paths.StateFile, state.Replace("\"owner\": \"win\"", "\"owner\": \"win\", \"pending\": true", StringComparison.Ordinal));

        await daemon.StartAgainAsync();

        await daemon.WaitForPlacesAsync(AllHome);
        Assert.Empty(daemon.Plugged());
        Assert.Equal("reconcile", (await daemon.NewestAsync()).Gesture);
    }

    [Fact]
    public async Task A_saved_state_that_cannot_be_read_keeps_the_daemon_from_starting_and_stays_as_it_is()
    {
        await using var daemon = await RunningDaemon.StartAsync();
        await daemon.StopAsync();
        await File.WriteAllTextAsync(daemon.Paths.StateFile, "garbage");

        var failure = await Assert.ThrowsAsync<Core.SwitchException>(daemon.StartAgainAsync);

        Assert.Contains("move the file away", failure.Message, StringComparison.Ordinal);
        Assert.Equal("garbage", await File.ReadAllTextAsync(daemon.Paths.StateFile));
        File.Delete(daemon.Paths.StateFile);
    }

    [Fact]
    public async Task A_second_daemon_on_the_same_socket_is_refused_and_the_socket_of_a_dead_one_is_no_hindrance()
    {
        await using var daemon = await RunningDaemon.StartAsync();
        var refusal = Assert.Throws<Core.SwitchException>(() => KvmSwitch.Daemon.Control.ControlEndpoint.Claim(daemon.Paths.Socket));
        Assert.Contains("another kvmswitchd", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(Core.Failure.Refused, refusal.Failure);
        Assert.Equal(AllHome, await daemon.PlacesAsync());
    }

    [Fact]
    public async Task A_session_with_QEMU_that_breaks_is_made_anew_and_nothing_moves()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        await daemon.GiveAsync("drive");

        daemon.Qemu.DropClient();
        await daemon.PassTimeUntilAsync(daemon.Qemu.SeenAsync("query-status", 2));

        Assert.Equal(["drive"], daemon.Plugged());
        await daemon.PassTimeUntilAsync(daemon.TakeAsync("drive"));
        Assert.Empty(daemon.Plugged());
    }

    [Fact]
    public async Task A_QEMU_that_hangs_at_device_add_times_out_and_everything_is_home_once_it_answers()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        var hold = new TaskCompletionSource();
        daemon.Qemu.Next("device_add", new FakeFault.AnswerAfter(hold.Task));
        var giving = RunningDaemon.RefusedAsync(() => daemon.GiveAsync("keyboard", TimeSpan.FromHours(1)));
        await daemon.Qemu.SeenAsync("device_add").WaitAsync(RunningDaemon.Patience);

        await daemon.PassTimeUntilAsync(giving);
        Assert.InRange((await giving).Exit, 1, 5);
        hold.SetResult();

        await daemon.PassTimeUntilAsync(daemon.WaitForPlacesAsync(AllHome));
        Assert.Empty(daemon.Plugged());
    }
}
