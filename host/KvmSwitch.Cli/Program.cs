using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Cli;

internal static class Program
{
    internal static int Main(string[] args)
    {
        using var signals = new StopSignals();

        // Nothing here runs on another thread, but for what waits for a signal or a clock.
        var exit = CommandLine.RunAsync(args, Surroundings.OfProcess(), signals.Listen).GetAwaiter().GetResult();
        return exit == ExitCode.Interrupted && signals.Terminated ? StopSignals.TerminatedExit : (int)exit;
    }
}
