using KvmSwitch.Qmp;
using KvmSwitch.SystemTests.Lab;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>What <c>tests/bench.sh lab</c> runs, once the lab is up.</summary>
internal static class LabProgram
{
    public static async Task<int> RunAsync(string[] arguments)
    {
        if (LabOptions.Parse(arguments) is not { } options)
        {
            await Console.Error.WriteLineAsync(
                $"usage: tests/bench.sh lab [--rounds N] [--json FILE] [--only PART,PART...]; parts are {string.Join(", ", LabOptions.AllParts)}");
            return 2;
        }

        // What was measured is told, even if something later could not be.
        var benchmark = new LabBenchmark(options);
        try
        {
            await benchmark.RunAsync(CancellationToken.None);
            return 0;
        }
        catch (Exception failure) when (
            failure is LabCommandFailedException or QmpException or TimeoutException or IOException or InvalidOperationException or OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"The benchmarks could not measure: {failure.Message}");
            return 1;
        }
        finally
        {
            benchmark.Print();
            if (options.Json is { } file) await Report.WriteJsonAsync(file, benchmark.Sections(), CancellationToken.None);
        }
    }
}
