using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>A running tray and where its icon is. Disposing kills it and waits until the icon is gone, so that the next one is found.</summary>
internal sealed class TrayOnScreen : IAsyncDisposable
{
    // Wine shows a taskbar as long as it has icons; the newest icon stands at its right end.
    private const int Cell = 20;

    /// <summary>A colour that only one look has, on a light taskbar (guest-agent/KvmSwitch.Agent/Windows/Tray/IconArt.cs).</summary>
    public const int KeyboardHere = 0x0063b1, AtHost = 0x1f1f1f, CutOff = 0xd13438;

    private readonly WineDesktop _windows;
    private readonly Picture _bare;

    private TrayOnScreen(WineDesktop windows, Picture bare, WineProgram program) => (_windows, _bare, Program) = (windows, bare, program);

    public WineProgram Program { get; }

    /// <summary>Where the icon is.</summary>
    public Area Icon { get; private set; } = new(0, 0, 0, 0);

    /// <summary>From the start of the process to the first pixel of the icon.</summary>
    public TimeSpan Delay { get; private set; }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static async Task<TrayOnScreen> StartAsync(WineDesktop windows, params string[] arguments)
    {
        // Away from where it will be: a tip or a highlight would be seen as a change.
        await windows.Screen.MoveAsync((300, 300));
        var bare = windows.Screen.Look();
        var started = TimeProvider.System.GetTimestamp();
        var tray = new TrayOnScreen(windows, bare, windows.Start(WineDesktop.Agent, ["tray", .. arguments]));
        await Condition.HoldsAsync(
            () => windows.Screen.Look().ChangedSince(bare) is not null
                || (tray.Program.HasExited ? throw new InvalidOperationException($"the tray has ended: {tray.Program.Error}") : false),
            "the tray's icon is there", WineDesktop.Patience, Stop);
        tray.Delay = TimeProvider.System.GetElapsedTime(started);
        await tray.FindAgainAsync();
        return tray;
    }

    /// <summary>Whether a change is one of the icon alone.</summary>
    public bool Covers(Area area) => area.X >= Icon.X - 2 && area.Y >= Icon.Y - 2 && area.X + area.Width <= Icon.X + Icon.Width + 2 && area.Y + area.Height <= Icon.Y + Icon.Height + 2;

    /// <summary>Waits until the icon is there, compared with a desktop without it.</summary>
    public async Task FindAgainAsync()
    {
        var bar = await _windows.Screen.WaitForChangeAsync(_bare, "the tray's icon is there");
        Icon = new(bar.X + bar.Width - Cell, bar.Y + bar.Height - Cell, Cell, Cell);
    }

    /// <summary>A point on a menu's row. From the right, since the icon's tip beside it may reach further to the left.</summary>
    /// <param name="menu">Where the menu is, as <see cref="OpenMenuAsync"/> found it.</param>
    /// <param name="below">Pixels below the menu's upper edge.</param>
    public static (int X, int Y) Row(Area menu, int below) => (menu.X + menu.Width - 100, menu.Y + below);

    /// <summary>Waits until the icon has a colour.</summary>
    public Task WaitForLookAsync(int colour, string what) => Condition.HoldsAsync(
        () =>
        {
            var now = _windows.Screen.Look();
            return Enumerable.Range(Icon.Y, Icon.Height).Any(y => Enumerable.Range(Icon.X, Icon.Width).Any(x => now[x, y] == colour));
        },
        what, WineDesktop.Patience, Stop);

    /// <summary>Asks the tray to end, as the end of a session does.</summary>
    public async Task CloseAsync()
    {
        await _windows.RunAsync(FakeService.Bridge, "close", "KvmSwitchTray");
        var ended = await Program.WaitForExitAsync();
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
    }

    /// <summary>Opens the menu with the right button.</summary>
    /// <returns>Where it is.</returns>
    public async Task<Area> OpenMenuAsync()
    {
        // The pointer is in the picture: it must not count as a change that it has left.
        await _windows.Screen.MoveAsync(Icon.Centre);
        var before = _windows.Screen.Look();
        await _windows.Screen.ClickAsync(Icon.Centre, button: 3);
        return await _windows.Screen.WaitForChangeAsync(before, "the menu is open", area => area.Height > 100);
    }

    public async ValueTask DisposeAsync()
    {
        await Program.DisposeAsync();
        await _windows.Screen.MoveAsync((300, 300));
        try
        {
            await Condition.HoldsAsync(() => _windows.Screen.Look().ChangedSince(_bare) is null, "the tray's icon is gone", WineDesktop.Patience, Stop);
        }
        catch (TimeoutException)
        {
            await _windows.Screen.SaveAsync($"late-{TestContext.Current.TestMethod?.MethodName}");
            throw;
        }
    }
}
