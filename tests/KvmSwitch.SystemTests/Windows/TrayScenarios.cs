using System.Text.Json.Nodes;
using Xunit;
using static KvmSwitch.SystemTests.Windows.FakeService;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>The tray, as somebody sees it who sits before it; the service is played by the test.</summary>
[Collection(nameof(WineTier))]
public sealed class TrayScenarios(WineDesktop windows, ITestOutputHelper output)
{
    private static JsonObject Here => Linked(
        Device("keyboard", "Keyboard", here: true), Device("trackball", "", here: true), Device("audio", "USB audio", here: false), Device("bluray", "Blu-ray", here: false, moving: true));

    private static JsonObject AtHost => Linked(Device("keyboard", "Keyboard", here: false), Device("trackball", "", here: false), Device("audio", "USB audio", here: false));

    [Fact(Timeout = 120_000)]
    public async Task The_icon_shows_at_a_glance_who_has_the_keyboard()
    {
        await using var service = await StartAsync(windows, Here);
        await using (await TrayOnScreen.StartAsync(windows))
        {
            // The first start is a cold one.
        }

        await using var tray = await TrayOnScreen.StartAsync(windows);
        output.WriteLine($"icon {tray.Delay.TotalMilliseconds:0} ms after the start");
        Assert.True(tray.Delay < TimeSpan.FromSeconds(10), $"the icon took {tray.Delay}");

        await windows.Screen.SaveAsync("tray-icon-here");
        foreach (var (state, name) in new[] { (AtHost, "at-host"), (CutOff("Unreachable", "Nobody listens at 192.168.1.2."), "cut-off") })
        {
            var before = windows.Screen.Look();
            await service.TellAsync(state);
            await windows.Screen.WaitForChangeAsync(before, $"the icon says {name}", tray.Covers);
            await windows.Screen.SaveAsync($"tray-icon-{name}");
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task The_first_entry_of_the_menu_gives_control_back()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        var menu = await tray.OpenMenuAsync();
        await windows.Screen.SaveAsync("tray-menu");
        await windows.Screen.ClickAsync((menu.X + 40, menu.Y + 10));
        AssertReturn(await service.NextRequestAsync());
    }

    [Fact(Timeout = 120_000)]
    public async Task A_double_click_gives_control_back()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        await windows.Screen.ClickAsync(tray.Icon.Centre, times: 2);
        AssertReturn(await service.NextRequestAsync());
    }

    [Fact(Timeout = 120_000)]
    public async Task A_device_is_asked_for_and_a_no_is_told()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        var menu = await tray.OpenMenuAsync();
        // Give back, ask for the keyboard, a line, keyboard, trackball, and then the audio interface.
        await windows.Screen.ClickAsync((menu.X + 40, menu.Y + 88));
        var request = await service.NextRequestAsync();
        Assert.Equal(("Request", "audio"), ((string?)request["verb"], (string?)request["targets"]![0]));

        var quiet = windows.Screen.Look();
        await service.ReplyAsync(request, "audio is in use by another machine.");
        await windows.Screen.WaitForChangeAsync(quiet, "the balloon is there", area => area.Width > 100);
        await windows.Screen.SaveAsync("tray-balloon-failed");
    }

    [Fact(Timeout = 120_000)]
    public async Task A_balloon_tells_what_arrives()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        var quiet = windows.Screen.Look();
        await service.NoticeAsync("Arrived", "Keyboard");
        await windows.Screen.WaitForChangeAsync(quiet, "the balloon is there", area => area.Width > 100);
        await windows.Screen.SaveAsync("tray-balloon-arrived");
    }

    [Fact(Timeout = 120_000)]
    public async Task It_comes_again_after_Explorer_and_after_a_kill_and_there_is_one_alone()
    {
        await using var service = await StartAsync(windows, Here);
        await using (var first = await TrayOnScreen.StartAsync(windows))
        {
            var second = await windows.RunAsync(WineDesktop.Agent, "tray");
            Assert.Equal((0, ""), (second.ExitCode, second.Error));
            Assert.False(first.Program.HasExited);

            var taskbar = await windows.RunAsync(Bridge, "new-taskbar", "KvmSwitchTray");
            Assert.True(taskbar.ExitCode == 0, taskbar.Error);
            await first.FindAgainAsync();
            await windows.Screen.SaveAsync("tray-after-explorer");
            await windows.Screen.ClickAsync(first.Icon.Centre, times: 2);
            AssertReturn(await service.NextRequestAsync());
        }

        await using var again = await TrayOnScreen.StartAsync(windows);
        await windows.Screen.ClickAsync(again.Icon.Centre, times: 2);
        AssertReturn(await service.NextRequestAsync());
    }

    [Fact(Timeout = 120_000)]
    public async Task It_speaks_Japanese()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows, "--language", "ja");
        await tray.OpenMenuAsync();
        await windows.Screen.SaveAsync("tray-menu-japanese");
        await windows.Screen.KeyAsync("Escape");
    }

    private static void AssertReturn(JsonNode request)
    {
        Assert.Equal(("Return", "tray"), ((string?)request["verb"], (string?)request["gesture"]));
        Assert.Empty(request["targets"]!.AsArray());
    }
}
