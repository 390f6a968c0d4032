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
        var exit = await CommandLine.RunAsync(args, change?.Invoke(around) ?? around, cancellation);
        return new CliRun((int)exit, output.ToString(), error.ToString());
    }
}
