using System.Globalization;
using KvmSwitch.Benchmarks;
using KvmSwitch.Benchmarks.Lab;
using KvmSwitch.Demo.Harness;

if (args is ["lab", .. var rest]) return await LabProgram.RunAsync(rest);

var options = BenchmarkOptions.Parse(args);
if (options is null)
{
    await Console.Error.WriteLineAsync(
        "usage: tests/bench.sh [--rounds N] [--json FILE], or tests/bench.sh lab; needs KVMSWITCH_PROGRAMS and KVMSWITCH_GUEST, which tests/bench.sh sets");
    return 2;
}

// What was measured is told, even if something later could not be.
var sections = new List<Section>();
try
{
    await BenchmarkRun.RunAsync(options, sections, CancellationToken.None);
    return 0;
}
catch (Exception failure) when (failure is CommandFailedException or TimeoutException or GuestCommandFailedException or IOException or InvalidOperationException)
{
    await Console.Error.WriteLineAsync($"The benchmarks could not measure: {failure.Message}");
    return 1;
}
finally
{
    if (sections.Count > 0) Report.Print(sections);
    if (options.Json is { } file) await Report.WriteJsonAsync(file, sections, CancellationToken.None);
}

namespace KvmSwitch.Benchmarks
{
    /// <param name="Rounds">How often each handoff is made.</param>
    /// <param name="Json">A file for the figures; null for none.</param>
    internal sealed record BenchmarkOptions(DemoInputs Inputs, int Rounds, string? Json)
    {
        /// <returns>Null when the arguments make no sense.</returns>
        public static BenchmarkOptions? Parse(string[] arguments)
        {
            if (Environment.GetEnvironmentVariable("KVMSWITCH_PROGRAMS") is not { Length: > 0 } programs) return null;
            if (Environment.GetEnvironmentVariable("KVMSWITCH_GUEST") is not { Length: > 0 } guest) return null;
            var options = new BenchmarkOptions(new(Path.GetFullPath(programs), Path.GetFullPath(guest)), Rounds: 15, Json: null);
            for (; arguments.Length > 0; arguments = arguments[2..])
            {
                switch (arguments)
                {
                    case ["--rounds", var text, ..] when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var rounds) && rounds > 0:
                        options = options with { Rounds = rounds };
                        break;
                    case ["--json", { Length: > 0 } file, ..]:
                        options = options with { Json = file };
                        break;
                    default:
                        return null;
                }
            }

            return options;
        }
    }

    /// <summary>All of it, in one run: a figure from another day says nothing about this one's.</summary>
    internal static class BenchmarkRun
    {
        private const int Starts = 7;
        private const int Kills = 3;
        private const int Silences = 5;

        public static async Task RunAsync(BenchmarkOptions options, List<Section> told, CancellationToken cancellation)
        {
            var load = (await File.ReadAllTextAsync("/proc/loadavg", cancellation)).Split(' ')[0];
            Console.WriteLine($"{Environment.ProcessorCount} processors, load {load}");
            var programs = new ProgramBenchmark(options.Inputs);
            Say("the daemon's start and its rest");
            told.Add(programs.Section);
            await programs.DaemonStartsAsync(Starts, cancellation);
            await WithGuestAsync(options, programs, told, cancellation);
            Say("loss of agent and QEMU");
            told.Add(await new LossBenchmark(options.Inputs).RunAsync(Kills, Silences, cancellation));
        }

        private static async Task WithGuestAsync(
            BenchmarkOptions options, ProgramBenchmark programs, List<Section> told, CancellationToken cancellation)
        {
            Say("booting the guest");
            await using var host = await DemoHost.CreateAsync(options.Inputs, cancellation);
            await host.StartDaemonAsync(cancellation);
            await using var guest = await DemoGuest.BootAsync(host, cancellation);
            await guest.PairAsync(cancellation);
            Say($"handoffs, {options.Rounds} rounds");
            told.InsertRange(0, await new HandoffBenchmark(host, guest).RunAsync(options.Rounds, cancellation));
            Say("kvmswitch status, and the daemon's rest with an agent");
            await programs.StatusAsync(host, 2 * options.Rounds, cancellation);
            await programs.IdleAsync(host, "daemon with an agent, after handoffs", cancellation);
        }

        // The table alone goes to standard output's reader; this is for who waits.
        private static void Say(string what) => Console.Error.WriteLine($"measuring: {what}");
    }
}
