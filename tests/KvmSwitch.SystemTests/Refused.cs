using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>How every program says no: the promised exit code, and one sentence on standard error.</summary>
internal static class Refused
{
    public const int Failed = 1, Usage = 2, NoDaemon = 3, Declined = 4;

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Runs <c>kvmswitch</c> and expects it to refuse.</summary>
    public static async Task ByCommandAsync(DemoHost host, int exitCode, string[] words, params string[] command)
    {
        var result = await host.TryRunAsync(Stop, command);
        Sentence(result, exitCode, words);

        // A start tells its progress there.
        if (command is not ["vm", "start", ..]) Assert.Empty(result.Output);
    }

    /// <summary>Runs <c>kvmswitchd</c> and expects it to end with an error by itself. Its log, on standard output, has no stack trace either.</summary>
    public static async Task ByDaemonAsync(string[] words, params string[] arguments)
    {
        var result = await ChildProcess.RunAsync(SharedDemo.Inputs.Daemon, arguments, Patience, Stop);
        Sentence(result, Failed, words);
        Assert.DoesNotContain("Exception", result.Output, StringComparison.Ordinal);
    }

    /// <param name="words">What the sentence has to name.</param>
    public static void Sentence(ProcessResult result, int exitCode, params string[] words)
    {
        var text = result.Error.Trim();
        Assert.True(result.ExitCode == exitCode, $"ended with {result.ExitCode} instead of {exitCode}: {text}");
        Assert.True(text.Length is > 0 and < 600 && !text.Contains('\n', StringComparison.Ordinal), $"not one sentence: {text}");
        Assert.All(words, word => Assert.Contains(word, text, StringComparison.Ordinal));
        Assert.DoesNotContain("Exception", text, StringComparison.Ordinal);
    }

    /// <summary>The words for a daemon of its own beside a host's directory.</summary>
    public static string[] DaemonArguments(DemoHost host, string? configuration = null, string? socket = null, string? runtime = null, string? state = null) =>
    [
        "--config", configuration ?? host.Configuration, "--socket", socket ?? host.Socket,
        "--runtime-directory", runtime ?? Path.Combine(host.Directory, "run"), "--state-directory", state ?? host.StateDirectory,
    ];
}
