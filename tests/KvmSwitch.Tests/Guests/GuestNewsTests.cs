using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Guests;

/// <summary>What an agent tells that moves nothing.</summary>
public sealed class GuestNewsTests
{
    [Fact]
    public async Task Sessions_and_hotkeys_that_do_not_work_are_in_the_log_and_the_hotkeys_are_listed()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        await agent.SendAsync(new() { SessionEvent = new() { Kind = SessionEvent.Types.Kind.Lock } });
        await agent.SendAsync(new() { SessionEvent = new() { Kind = (SessionEvent.Types.Kind)77 } });
        await agent.SendAsync(new()
        {
            HotkeyReport = new() { Troubles = { new HotkeyReport.Types.Trouble { Chord = "ctrl+alt+h", Reason = "another\nprogram has it" } } },
        });
        await agent.SyncAsync();

        var lines = host.Log.Lines.Where(line => line.Event.Id is 2006 or 2007).Select(line => line.Text.Trim());
        Assert.Equal([new("ctrl+alt+h", "another?program has it")], host.Links.HotkeyTroubles(GuestHost.Win));
        Assert.Equal(["Guest win: Lock", "Hotkey ctrl+alt+h does not work in win: another?program has it"], lines);
    }

    [Fact]
    public async Task A_flood_of_them_fills_no_log()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        for (var i = 0; i < 100; i++) await agent.SendAsync(new() { SessionEvent = new() { Kind = SessionEvent.Types.Kind.Lock } });
        await agent.SyncAsync();
        Assert.Equal(20, host.Log.Lines.Count(line => line.Event.Id == 2006));
    }

    [Fact]
    public async Task An_answer_that_nobody_waits_for_is_ignored()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Win));
        await agent.SendAsync(new() { EjectReply = new() { Id = 7, Ok = true } });
        await agent.SyncAsync();
    }
}
