using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>
/// Windows, as Wine has it: a fresh prefix, a screen of its own, a desktop with a tray. Shared by all scenarios of the tier (12 s to make):
/// <code>
/// [Collection(nameof(WineTier))]
/// public sealed class MyScenarios(WineDesktop windows)
/// {
///     [Fact(Timeout = 60_000)]
///     public async Task It_says_its_version()
///     {
///         var result = await windows.RunAsync(WineDesktop.Agent, "--version");          // to its end: code, output, errors
///         await using var tray = windows.Start(WineDesktop.Agent, "tray");              // goes on; killed at the end of the block
///         await windows.Screen.SaveAsync("my-picture");
///     }
/// }
/// </code>
/// Whoever installs something or changes the registry undoes it at the end, or makes a desktop of their own with <see cref="CreateAsync"/>.
/// Paths of Linux are good as names of programs; within arguments use <see cref="WindowsPath"/>.
/// </summary>
public sealed class WineDesktop : IAsyncLifetime
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string _directory = Directory.CreateTempSubdirectory("kvmswitch-wine-").FullName;
    private WineScreen? _screen;
    private ChildProcess? _keeper;
    private WineProgram? _explorer;
    private int _started;

    /// <summary>Where screenshots are kept.</summary>
    public static string Artefacts { get; } = Path.GetFullPath(Path.Combine(SharedDemo.Inputs.Programs, "../test-results/windows"));

    /// <summary>KvmSwitch.Agent.exe, as installer/build.sh publishes it.</summary>
    public static string Agent { get; } = Path.GetFullPath(Path.Combine(SharedDemo.Inputs.Programs, "KvmSwitch.Agent.exe"));

    public WineScreen Screen => _screen!;

    /// <summary>WINEPREFIX.</summary>
    public string Prefix => Path.Combine(_directory, "prefix");

    /// <summary>Drive C: as a directory of Linux.</summary>
    public string DriveC => Path.Combine(Prefix, "drive_c");

    /// <summary>Drive K: as a directory of Linux: what is put there is on a disc in that drive.</summary>
    public string Disc => Path.Combine(_directory, "disc");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private Dictionary<string, string?> Environment => new(StringComparer.Ordinal)
    {
        ["WINEPREFIX"] = Prefix,
        ["WINEARCH"] = "win64",
        ["WINEDEBUG"] = "-all",
        ["DISPLAY"] = _screen?.Display,
        ["LC_ALL"] = "C.UTF-8",
        // Wine 8 can't map a page as writable and as executable at once.
        ["DOTNET_EnableWriteXorExecute"] = "0",
    };

    /// <summary>A desktop for one test or class alone; disposing ends everything in it.</summary>
    public static async Task<WineDesktop> CreateAsync()
    {
        var desktop = new WineDesktop();
        await desktop.InitializeAsync();
        return desktop;
    }

    /// <summary>A path of Linux as Windows programs name it: <c>Z:\…</c>.</summary>
    public static string WindowsPath(string path) => "Z:" + Path.GetFullPath(path).Replace('/', '\\');

    public async ValueTask InitializeAsync()
    {
        _screen = await WineScreen.StartAsync(_directory);
        // Once Wine 8 ended its boot at once with 1, without a word, and never again.
        if (await BootAsync() is { ExitCode: not 0 } failed)
        {
            TestContext.Current.SendDiagnosticMessage($"'wineboot -i' ended with {failed.ExitCode}: {failed.Output}{failed.Error}; once more");
            Directory.Delete(Prefix, recursive: true);
            Expect(await BootAsync(), "wineboot -i");
        }

        KeepAlive();
        await Condition.HoldsAsync(() => Processes().Values.Any(command => command.EndsWith("services.exe", StringComparison.OrdinalIgnoreCase)), "Windows runs", Patience, Stop);

        // A crash ends a program at once instead of starting a debugger that hangs for 90 s.
        await SetAsync(@"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug", "Debugger", "");
        await SetAsync(@"HKCU\Software\Wine", "Version", "win81");
        await SetAsync(@"HKCU\Software\Wine\Explorer", "Desktop", "kvm");
        await SetAsync(@"HKCU\Software\Wine\Explorer\Desktops", "kvm", "1024x768");
        // Wine's taskbar is white.
        await SetAsync(@"HKCU\Software\Microsoft\Windows\CurrentVersion\Themes\Personalize", "SystemUsesLightTheme", "1", "REG_DWORD");
        // Windows finds glyphs of other scripts in other fonts; Wine has to be given one that has them all.
        foreach (var font in (string[])["Tahoma", "MS Shell Dlg", "MS Shell Dlg 2", "Segoe UI"])
            await SetAsync(@"HKCU\Software\Wine\Fonts\Replacements", font, "VL Gothic");
        await StartExplorerAsync();
    }

    /// <summary>Starts a program on the desktop. Its process is Linux's child of ours, with its own outputs.</summary>
    /// <param name="program">A path of Linux or Windows, or the name of one of Wine's own programs.</param>
    public WineProgram Start(string program, params string[] arguments) =>
        StartWith(new Dictionary<string, string?>(StringComparer.Ordinal), program, arguments);

    /// <summary>The same, with a few environment variables of its own.</summary>
    public WineProgram StartWith(IReadOnlyDictionary<string, string?> environment, string program, params string[] arguments)
    {
        var all = Environment;
        foreach (var (name, value) in environment) all[name] = value;
        return WineProgram.Start(program, arguments, all, Path.Combine(_directory, $"program-{Interlocked.Increment(ref _started)}"));
    }

    /// <summary>Runs a program to its end, whatever it ends with.</summary>
    public async Task<ProcessResult> RunAsync(string program, params string[] arguments)
    {
        await using var running = Start(program, arguments);
        return await running.WaitForExitAsync();
    }

    /// <summary>Sets a value of the registry.</summary>
    /// <param name="key">As <c>HKLM\Software\…</c>; made when it isn't there.</param>
    public async Task SetAsync(string key, string name, string value, string type = "REG_SZ") =>
        Expect(await RunAsync("reg.exe", "add", key, "/v", name, "/t", type, "/d", value, "/f"), $"reg add {key}");

    /// <summary>The Windows processes that run now, with the ids that Linux gave them.</summary>
    public IReadOnlyDictionary<int, string> Processes() => WineProcesses.In(Prefix);

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        if (_explorer is not null) await _explorer.DisposeAsync();
        if (_keeper is not null) await _keeper.DisposeAsync();
        if (_screen is not null) await _screen.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task<ProcessResult> BootAsync()
    {
        MakeDrives();
        // Without mscoree and mshtml nothing asks to download them. It holds for this one command.
        await using var boot = StartWith(new Dictionary<string, string?>(StringComparer.Ordinal) { ["WINEDLLOVERRIDES"] = "mscoree,mshtml=" }, "wineboot.exe", "-i");
        var result = await boot.WaitForExitAsync(TimeSpan.FromMinutes(2));

        // What the boot left running ends, and one program stays from then on: else Wine 8 boots again at the next program, with a second service
        // manager beside the first, and each knows only the services that it was asked to make.
        await EndAsync();
        return result;
    }

    // Wine's mount manager looks for drives at its start alone, and makes C: and Z: only where no drive is there yet.
    private void MakeDrives()
    {
        var drives = Directory.CreateDirectory(Path.Combine(Prefix, "dosdevices")).FullName;
        foreach (var (letter, directory) in (ReadOnlySpan<(char, string)>)[('c', Directory.CreateDirectory(DriveC).FullName), ('k', Directory.CreateDirectory(Disc).FullName), ('z', "/")])
            File.CreateSymbolicLink(Path.Combine(drives, $"{letter}:"), directory);
    }

    // The wineserver of this prefix and all that runs in it; -w waits for the end.
    private async Task EndAsync()
    {
        foreach (var step in (string[])["-k", "-w"])
            await ChildProcess.RunAsync("wineserver", [step], TimeSpan.FromSeconds(30), CancellationToken.None, Environment);
    }

    // A shell that waits for ever: as long as one program runs, so do services and desktop.
    private void KeepAlive() => _keeper = ChildProcess.Start(
        "/bin/sh", ["-c", "mkfifo \"$1\" && exec wine cmd.exe 0<>\"$1\" >/dev/null 2>&1", "sh", Path.Combine(_directory, "keeper")], Environment);

    // It becomes the desktop, or ends because Wine has started another one for it.
    private async Task StartExplorerAsync()
    {
        var before = Screen.Look();
        _explorer = Start("explorer.exe", "/desktop");
await Screen.WaitForChangeAsync(before, "the desktop is there", area => area.Height > 700, Patience);
    }

    private static void Expect(ProcessResult result, string what)
    {
        if (result.ExitCode != 0) throw new IOException($"'{what}' ended with {result.ExitCode}: {result.Output}{result.Error}");
    }
}

[CollectionDefinition(nameof(WineTier))]
public sealed class WineTier : ICollectionFixture<WineDesktop>;
