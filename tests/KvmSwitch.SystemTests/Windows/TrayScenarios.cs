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

        foreach (var (state, colour, name) in new[]
        {
            (Here, TrayOnScreen.KeyboardHere, "here"),
            (AtHost, TrayOnScreen.AtHost, "at-host"),
            (FakeService.CutOff("Unreachable", "Nobody listens at 192.168.1.2."), TrayOnScreen.CutOff, "cut-off"),
        })
        {
            await service.TellAsync(state);
            await tray.WaitForLookAsync(colour, $"the icon says {name}");
            await windows.Screen.SaveAsync($"tray-icon-{name}");
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task The_first_entry_of_the_menu_gives_control_back()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the keyboard is here");
        var menu = await tray.OpenMenuAsync();
        await windows.Screen.SaveAsync("tray-menu");
        await windows.Screen.ClickAsync(TrayOnScreen.Row(menu, 10));
        AssertReturn(await service.NextRequestAsync());
    }

    [Fact(Timeout = 120_000)]
    public async Task A_device_is_asked_for_and_a_no_is_told()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the keyboard is here");
        var menu = await tray.OpenMenuAsync();
        // Give back, ask for the keyboard, a line, keyboard, trackball, and then the audio interface.
        await windows.Screen.ClickAsync(TrayOnScreen.Row(menu, 92));
        var request = await service.NextRequestAsync();
        Assert.Equal(("Request", "audio"), ((string?)request["verb"], (string?)request["targets"]![0]));

        var quiet = windows.Screen.Look();
        await service.ReplyAsync(request, "audio is in use by another machine.");
        await windows.Screen.WaitForChangeAsync(quiet, "the balloon is there", area => area.Width > 100);
        await windows.Screen.SaveAsync("tray-balloon-failed");
    }

    [Fact(Timeout = 120_000)]
    public async Task A_double_click_gives_control_back()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the keyboard is here");
        await windows.Screen.ClickAsync(tray.Icon.Centre, times: 2);
        AssertReturn(await service.NextRequestAsync());
    }

    [Fact(Timeout = 120_000)]
    public async Task A_balloon_tells_what_arrives()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the keyboard is here");
        var quiet = windows.Screen.Look();
        await service.NoticeAsync("Arrived", "Keyboard");
        await windows.Screen.WaitForChangeAsync(quiet, "the balloon is there", area => area.Width > 100);
        await windows.Screen.SaveAsync("tray-balloon-arrived");
    }

    [Fact(Timeout = 120_000)]
    public async Task It_comes_again_on_a_new_taskbar_and_leaves_it_in_good_order()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows);
        await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the keyboard is here");
        var taskbar = await windows.RunAsync(Bridge, "new-taskbar", "KvmSwitchTray");
        Assert.True(taskbar.ExitCode == 0, taskbar.Error);
        await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the icon is there again");
        await windows.Screen.SaveAsync("tray-on-new-taskbar");
        await windows.Screen.ClickAsync(tray.Icon.Centre, times: 2);
        AssertReturn(await service.NextRequestAsync());
        await tray.CloseAsync();
    }

    [Fact(Timeout = 120_000)]
    public async Task It_comes_again_after_a_kill_and_there_is_one_alone()
    {
        await using var service = await StartAsync(windows, Here);
        await using (var first = await TrayOnScreen.StartAsync(windows))
        {
            var second = await windows.RunAsync(WineDesktop.Agent, "tray");
            Assert.Equal((0, ""), (second.ExitCode, second.Error));
            Assert.False(first.Program.HasExited);
        }

        await using var again = await TrayOnScreen.StartAsync(windows);
        await again.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the keyboard is here");
        await windows.Screen.ClickAsync(again.Icon.Centre, times: 2);
        AssertReturn(await service.NextRequestAsync());
    }

    [Fact(Timeout = 120_000)]
    public async Task Without_a_service_tray_and_commands_say_so()
    {
        await using var tray = await TrayOnScreen.StartAsync(windows);
        await tray.WaitForLookAsync(TrayOnScreen.CutOff, "nothing can be switched");
        var status = await windows.RunAsync(WineDesktop.Agent, "status");
        Assert.Equal((1, ""), (status.ExitCode, status.Output));
        Assert.Contains("not installed", status.Error, StringComparison.Ordinal);
        var doctor = await windows.RunAsync(WineDesktop.Agent, "doctor", "--json");
        var checks = JsonNode.Parse(doctor.Output)!["checks"]!.AsArray().ToDictionary(check => (string)check!["name"]!, check => (string)check!["outcome"]!, StringComparer.Ordinal);
        Assert.Equal((1, "broken", "ok"), (doctor.ExitCode, checks["service"], checks["tray"]));
        await tray.OpenMenuAsync();
        await windows.Screen.SaveAsync("tray-menu-no-service");
        await tray.CloseAsync();
    }

    [Fact(Timeout = 120_000)]
    public async Task It_speaks_Japanese()
    {
        await using var service = await StartAsync(windows, Here);
        await using var tray = await TrayOnScreen.StartAsync(windows, "--language", "ja");
        await tray.WaitForLookAsync(TrayOnScreen.KeyboardHere, "the keyboard is here");
        await tray.OpenMenuAsync();
        await windows.Screen.SaveAsync("tray-menu-japanese");
    }

    private static void AssertReturn(JsonNode request)
    {
        Assert.Equal(("Return", "tray"), ((string?)request["verb"], (string?)request["gesture"]));
        Assert.Empty(request["targets"]!.AsArray());
    }
}
