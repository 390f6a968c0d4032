using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>That the other scenarios of this tier can trust what they stand on.</summary>
[Collection(nameof(WineTier))]
public sealed class HarnessScenarios(WineDesktop windows)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task A_program_has_its_own_output_and_exit_code()
    {
        var result = await windows.RunAsync("cmd.exe", "/c", "echo hello& exit 3");

        Assert.Equal(3, result.ExitCode);
        Assert.Equal("hello\n", result.Output);
        Assert.Empty(result.Error);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_window_is_seen_clicked_and_typed_into()
    {
        var before = windows.Screen.Look();
        await using var notepad = windows.Start("notepad.exe");
        var window = await windows.Screen.WaitForChangeAsync(before, "notepad's window", area => area.Height > 200);
        await windows.Screen.ClickAsync(window.Centre);
        var empty = windows.Screen.Look();
        await windows.Screen.TypeAsync("kvm");
        await windows.Screen.WaitForChangeAsync(empty, "the text is there", area => area.Width > 10);
        var file = Path.Combine(windows.DriveC, "typed.txt");
        await windows.Screen.KeyAsync("ctrl+s");
        await windows.Screen.WaitForChangeAsync(empty, "it asks for a name", area => area.Height > 200);
        await windows.Screen.TypeAsync(@"C:\typed.txt");
        await windows.Screen.SaveAsync("harness-notepad");
        await windows.Screen.KeyAsync("Return");
        await Condition.HoldsAsync(() => File.Exists(file) && File.ReadAllText(file) == "kvm", "the file is saved", WineDesktop.Patience, Stop);
    }

    [Fact(Timeout = 60_000)]
    public async Task Services_run_and_a_program_that_goes_on_can_be_killed()
    {
        await Condition.HoldsAsync(
            async () => (await windows.RunAsync("net.exe", "start")).Output.Contains("Event Log", StringComparison.Ordinal),
            "the event log's service runs", WineDesktop.Patience, Stop);
        var before = windows.Screen.Look();
        await using var program = windows.Start("winver.exe");
        await windows.Screen.WaitForChangeAsync(before, "its window is there");
        var shown = windows.Screen.Look();
        Assert.Contains(windows.Processes(), process => process.Value.Contains("winver", StringComparison.OrdinalIgnoreCase));
        await program.KillAsync();
        await windows.Screen.WaitForChangeAsync(shown, "its window is gone");
        Assert.DoesNotContain(windows.Processes(), process => process.Value.Contains("winver", StringComparison.OrdinalIgnoreCase));
    }
}
