using System.Runtime.InteropServices;
using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Cli;

internal static class Program
{
    private const int Terminated = 143;

    internal static async Task<int> Main(string[] args)
    {
        using var stop = new CancellationTokenSource();
        var terminated = false;
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        var exit = await CommandLine.RunAsync(args, Surroundings.OfProcess(), stop.Token);
        return exit == ExitCode.Interrupted && terminated ? Terminated : (int)exit;

        // The first signal ends the command in good order, the second one the process.
        void Stop(PosixSignalContext context)
        {
            context.Cancel = !stop.IsCancellationRequested;
            terminated = context.Signal == PosixSignal.SIGTERM;
            stop.Cancel();
        }
    }
}
