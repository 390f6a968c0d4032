using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>Storage is ejected by its guest before it is detached, unless nobody has the time for that.</summary>
public sealed class EjectScenarioTests
{
    private const string Busy = "A program still has files open on it: close them first.";

    [Fact]
    public async Task Storage_that_the_guest_uses_stays_and_the_user_reads_why()
    {
        var (daemon, guest) = await WithDriveAsync();
        await using var _ = daemon;
        await using var __ = guest;
        var taking = RunningDaemon.RefusedAsync(() => daemon.TakeAsync("drive"));

        Assert.Equal("usb0.0-2", await guest.AnswerEjectAsync(Busy));

        var (exit, message) = await taking;
        Assert.Equal(4, exit);
        Assert.Equal($"win keeps drive: {Busy.TrimEnd('.')}; 'kvmswitch take --all' asks nobody", message);
        Assert.Equal(["drive"], daemon.Plugged());
    }

    [Fact]
    public async Task Storage_that_the_guest_lets_go_comes_home()
    {
        var (daemon, guest) = await WithDriveAsync();
        await using var _ = daemon;
        await using var __ = guest;
        var taking = daemon.TakeAsync("drive");
        await guest.AnswerEjectAsync("");
        Assert.Equal("done", (await taking).Outcome);
        Assert.Empty(daemon.Plugged());
    }

    [Fact]
    public async Task A_guest_that_gives_storage_back_ejects_it_too()
    {
        var (daemon, guest) = await WithDriveAsync();
        await using var _ = daemon;
        await using var __ = guest;
        guest.Objection = Busy;
        Assert.Contains(Busy.TrimEnd('.'), await guest.AskAsync(GuestAction.Types.Verb.Return, "drive"), StringComparison.Ordinal);
        Assert.Equal(["drive"], daemon.Plugged());
    }

    [Fact]
    public async Task A_keyboard_comes_home_at_once_beside_storage_that_is_in_use()
    {
        var (daemon, guest) = await WithDriveAsync();
        await using var _ = daemon;
        await using var __ = guest;
        await daemon.GiveAsync("keyboard");
        guest.Objection = Busy;

        Assert.Contains(Busy.TrimEnd('.'), await guest.AskAsync(GuestAction.Types.Verb.Return), StringComparison.Ordinal);

        Assert.Equal(["drive"], daemon.Plugged());
    }

    [Fact]
    public async Task A_guest_that_does_not_answer_keeps_storage_for_ten_seconds_and_take_all_asks_nobody()
    {
        var (daemon, guest) = await WithDriveAsync();
        await using var _ = daemon;
        await using var __ = guest;
        var taking = RunningDaemon.RefusedAsync(() => daemon.TakeAsync("drive"));
        for (var quarter = 0; quarter < 80 && !taking.IsCompleted; quarter++)
        {
            daemon.Time.Advance(TimeSpan.FromMilliseconds(250));
            await guest.BeatAsync();
        }

        Assert.Equal("win was asked to eject drive and did not answer within 10 s; 'kvmswitch take --all' asks nobody", (await taking).Message);
        Assert.Equal(["drive"], daemon.Plugged());
        Assert.Equal("done", (await daemon.TakeAsync()).Outcome);
        Assert.Empty(daemon.Plugged());
    }

    [Fact]
    public async Task An_older_agent_is_not_asked()
    {
        var (daemon, guest) = await RunningDaemon.WithGuestAsync();
        await using var _ = daemon;
        await using var __ = guest;
        await daemon.GiveAsync("drive");
        Assert.Equal("done", (await daemon.TakeAsync("drive")).Outcome);
    }

    private static async Task<(RunningDaemon Daemon, GuestWithEyes Guest)> WithDriveAsync()
    {
        var daemon = await RunningDaemon.StartAsync();
        var guest = await daemon.LinkAsync(canEject: true);
        await daemon.GiveAsync("drive");
        await guest.SawAsync("kvmswitch-device-drive");
        return (daemon, guest);
    }
}
