using System.Text.Json.Nodes;
using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>Hotkeys that the daemon itself hears.</summary>
[Collection(nameof(LabTier))]
public sealed class HotkeyScenarios(LabHost lab)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 600_000)]
    public async Task What_the_daemon_hears_is_shown_live()
    {
        await lab.SettleAsync();
        await using var stream = await lab.Shell.StreamAsync("exec kvmswitch hotkeys test --json", LabHost.Patience, Stop);
        using var lines = new StreamReader(stream);
        await HearsAsync(lines, "twin-left");

        var chord = NextAsync(lines, line => (string?)line["hotkey"] == "ctrl+alt+f12");
        await ChordAsync("twin-left");
        await chord;
    }

    [Fact(Timeout = 600_000)]
    public async Task A_keyboard_that_came_later_is_heard_and_brings_everything_home()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "desk");
        await lab.Hardware.UnplugAsync("twin-right", Stop);
        await lab.WaitForPlacementAsync("right", "absent");
        await lab.Hardware.PlugAsync("twin-right", Stop);
        await using var stream = await lab.Shell.StreamAsync("exec kvmswitch hotkeys test --json", LabHost.Patience, Stop);
        using var lines = new StreamReader(stream);
        await HearsAsync(lines, "twin-right");

        await ChordAsync("twin-right");

        await lab.WaitForPlacementAsync("left", "host");
        await lab.WaitForPlacementAsync("mouse", "host");
        var history = await lab.RunAsync("history");
        Assert.Contains(history["handoffs"]!.AsArray(), handoff =>
            (string?)handoff!["gesture"] == "hotkey" && handoff["devices"]!.AsArray().Any(device => (string?)device == "left"));
    }

    /// <summary>Returns once the daemon hears this keyboard: whether it listens already, nobody tells, so a key is pressed until it is shown.</summary>
    private async Task HearsAsync(StreamReader lines, string keyboard)
    {
        var heard = NextAsync(lines, line => line["keys_down"]!.AsArray().Any(key => (string?)key == "s"));
        while (!heard.IsCompleted)
        {
            await lab.Hardware.PressAsync(keyboard, "s", Stop);
            await Task.WhenAny(heard, Task.Delay(TimeSpan.FromSeconds(1), Stop));
        }

        await heard;
    }

    private static async Task<JsonNode> NextAsync(StreamReader lines, Func<JsonNode, bool> isWanted)
    {
        while (await lines.ReadLineAsync(Stop) is { } line)
        {
            if (line.StartsWith('{') && JsonNode.Parse(line) is { } heard && isWanted(heard)) return heard;
        }

        throw new EndOfStreamException("the stream of keys ended");
    }

    private async Task ChordAsync(string keyboard)
    {
        foreach (var key in new[] { "ctrl", "alt" }) await lab.Hardware.KeyAsync(keyboard, key, down: true, Stop);
        await lab.Hardware.PressAsync(keyboard, "f12", Stop);
        foreach (var key in new[] { "alt", "ctrl" }) await lab.Hardware.KeyAsync(keyboard, key, down: false, Stop);
    }
}
