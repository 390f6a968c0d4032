using System.Globalization;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>
/// The screen of a <see cref="WineDesktop"/>, its mouse and its keys. The way to find something on it is to look before and after:
/// <code>
/// var before = screen.Look();
/// await screen.ClickAsync(icon.Centre, button: 3);
/// var menu = await screen.WaitForChangeAsync(before, "the menu opens");   // the rectangle that changed, once it stays as it is
/// await screen.SaveAsync("tray-menu");                                    // artifacts/test-results/windows/tray-menu.png
/// await screen.KeyAsync("Down", "Return");                                // names as xdotool has them; "ctrl+alt+h" is a chord
/// </code>
/// </summary>
public sealed class WineScreen : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Stillness = TimeSpan.FromMilliseconds(300);
    private readonly ChildProcess _server;
    private readonly string _frameBuffer;

    private WineScreen(ChildProcess server, string display, string frameBuffer) => (_server, Display, _frameBuffer) = (server, display, frameBuffer);

    /// <summary>As DISPLAY names it.</summary>
    public string Display { get; }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private Dictionary<string, string?> Environment => new(StringComparer.Ordinal) { ["DISPLAY"] = Display };

    /// <summary>Starts Xvfb on a display number that it chooses itself: on a fixed one, keys could land with somebody else.</summary>
    public static async Task<WineScreen> StartAsync(string directory)
    {
        var server = ChildProcess.Start(
            "Xvfb", ["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-fbdir", directory, "-noreset"]);
        var number = await server.WaitForLineAsync(line => int.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out _), Patience, Stop);
        return new(server, $":{number}", Path.Combine(directory, "Xvfb_screen0"));
    }

    /// <summary>What it shows now. Costs a few milliseconds.</summary>
    public Picture Look()
    {
        using var file = new FileStream(_frameBuffer, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var dump = new byte[file.Length];
        file.ReadExactly(dump);
        return Picture.FromFrameBuffer(dump);
    }

    /// <summary>Waits until the screen differs from before and has been still for 300 ms.</summary>
    /// <param name="wanted">Which changes count; all when null.</param>
    /// <returns>What changed.</returns>
    /// <exception cref="TimeoutException">Nothing changed; a picture of it was kept.</exception>
    public async Task<Area> WaitForChangeAsync(Picture before, string what, Func<Area, bool>? wanted = null, TimeSpan? deadline = null)
    {
        var (last, since) = (before, TimeProvider.System.GetTimestamp());
        Area? area = null;
        try
        {
            await Condition.HoldsAsync(
                () =>
                {
                    var now = Look();
                    if (now.ChangedSince(last) is not null) (last, since) = (now, TimeProvider.System.GetTimestamp());
                    area = now.ChangedSince(before);
                    return area is not null && (wanted?.Invoke(area) ?? true) && TimeProvider.System.GetElapsedTime(since) >= Stillness;
                },
                what, deadline ?? Patience, Stop);
        }
        catch (TimeoutException)
        {
            await SaveAsync($"late-{TestContext.Current.TestMethod?.MethodName}");
            throw;
        }

        return area!;
    }

    /// <summary>Keeps a screenshot in artifacts/test-results/windows.</summary>
    /// <returns>Its path.</returns>
    public async Task<string> SaveAsync(string name)
    {
        var path = Path.Combine(Directory.CreateDirectory(WineDesktop.Artefacts).FullName, name + ".png");
        await RunAsync("import", "-silent", "-window", "root", path);
        return path;
    }

    public Task MoveAsync((int X, int Y) point) => RunAsync("xdotool", "mousemove", "--sync", $"{point.X}", $"{point.Y}");

    /// <summary>Clicks as a hand does: the pointer rests first, since Wine's menus take no click on an entry that was not pointed at.</summary>
    /// <param name="button">1 left, 2 middle, 3 right.</param>
    public Task ClickAsync((int X, int Y) point, int button = 1, int times = 1)
    {
        string[] click = ["mousedown", $"{button}", "sleep", "0.05", "mouseup", $"{button}", "sleep", "0.05"];
        return RunAsync("xdotool", ["mousemove", $"{point.X}", $"{point.Y}", "sleep", "0.4", .. Enumerable.Repeat(click, times).SelectMany(word => word)]);
    }

    /// <summary>Presses keys one after the other, as xdotool names them; <c>ctrl+alt+h</c> is a chord.</summary>
    public Task KeyAsync(params string[] keys) => RunAsync("xdotool", ["key", "--delay", "60", .. keys]);

    public Task TypeAsync(string text) => RunAsync("xdotool", "type", "--delay", "30", text);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task RunAsync(string program, params string[] arguments)
    {
        var result = await ChildProcess.RunAsync(program, arguments, Patience, Stop, Environment);
        if (result.ExitCode != 0) throw new IOException($"{program} {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Error.Trim()}");
    }
}
