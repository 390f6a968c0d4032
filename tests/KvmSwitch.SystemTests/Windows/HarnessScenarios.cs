using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>That the other scenarios of this tier can trust what they stand on.</summary>
[Collection(nameof(WineTier))]
public sealed class HarnessScenarios(WineDesktop windows)
{
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
        await KvmSwitch.Demo.Harness.Condition.HoldsAsync(() => File.Exists(file), "the file is saved", WineDesktop.Patience, TestContext.Current.CancellationToken);
        Assert.Equal("kvm", await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
    }

    [Fact(Timeout = 60_000)]
    public async Task Services_run_and_a_program_that_goes_on_can_be_killed()
    {
        var services = await windows.RunAsync("net.exe", "start");
        Assert.Contains("Event Log", services.Output, StringComparison.Ordinal);

        await using var program = windows.Start("cmd.exe", "/c", "echo on& ping -n 100 127.0.0.1");
        await program.WaitForOutputAsync(text => text.StartsWith("on", StringComparison.Ordinal), "it says so");
        Assert.False(program.HasExited);
        await program.KillAsync();
        Assert.True(program.HasExited);
    }
}
