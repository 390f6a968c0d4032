using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>How every program says no: the promised exit code, nothing on standard output, and one sentence on standard error.</summary>
internal static class Refused
{
    public const int Failed = 1, Usage = 2, NoDaemon = 3, Declined = 4;

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Runs <c>kvmswitch</c> and expects it to refuse.</summary>
    public static async Task<string> ByCommandAsync(DemoHost host, int exitCode, string[] words, params string[] command) =>
        Sentence(await host.TryRunAsync(Stop, command), exitCode, words);

    /// <summary>Runs <c>kvmswitchd</c> and expects it to end with an error by itself.</summary>
    public static async Task<string> ByDaemonAsync(string[] words, params string[] arguments) =>
        Sentence(await ChildProcess.RunAsync(SharedDemo.Inputs.Daemon, arguments, Patience, Stop), Failed, words);

    /// <param name="words">What the sentence has to name.</param>
    public static string Sentence(ProcessResult result, int exitCode, params string[] words)
    {
        var text = result.Error.Trim();
        Assert.True(result.ExitCode == exitCode, $"ended with {result.ExitCode} instead of {exitCode}: {text}");
        Assert.True(text.Length is > 0 and < 600 && !text.Contains('\n', StringComparison.Ordinal), $"not one sentence: {text}");
        Assert.All(words, word => Assert.Contains(word, text, StringComparison.Ordinal));
        Assert.DoesNotContain("Exception", text, StringComparison.Ordinal);
        Assert.Empty(result.Output);
        return text;
    }

    /// <summary>The words for a daemon of its own beside a host's directory.</summary>
    public static string[] DaemonArguments(DemoHost host, string? configuration = null, string? socket = null, string? runtime = null, string? state = null) =>
    [
        "--config", configuration ?? host.Configuration, "--socket", socket ?? host.Socket,
        "--runtime-directory", runtime ?? Path.Combine(host.Directory, "run"), "--state-directory", state ?? host.StateDirectory,
    ];
}
