using KvmSwitch.Cli;
using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Tests.Cli;

/// <summary>What one run of the CLI did.</summary>
internal sealed record CliRun(int Exit, string Out, string Error)
{
    public static Task<CliRun> AsyncWith(FakeDaemon daemon, params string[] args) => Async([.. args, "--socket", daemon.Socket]);

    public static async Task<CliRun> Async(
        IReadOnlyList<string> args, Func<Surroundings, Surroundings>? change = null, CancellationToken cancellation = default)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var around = new Surroundings(output, error) { Time = Examples.Time() };

        // The CLI waits in system calls: it gets a thread of its own here too, and not one that the daemon beside it needs.
        var exit = await Task.Factory.StartNew(
            () => CommandLine.RunAsync(args, change?.Invoke(around) ?? around, () => cancellation),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
        return new CliRun((int)exit, output.ToString(), error.ToString());
    }
}
