using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>A program that is run to its end, and whose standard output is what it is run for.</summary>
/// <param name="Program">Absolute path.</param>
/// <param name="Arguments">Without the program itself; data, never a shell's line.</param>
public sealed record CapturedProgram(string Program, ImmutableArray<string> Arguments)
{
    private const int LongestComplaint = 400;

    /// <summary>Who it runs as, without any capability; null: as we do. Needs root.</summary>
    public RunAs? User { get; init; }

    /// <summary>It is killed when it takes longer.</summary>
    public required TimeSpan Deadline { get; init; }

    /// <summary>It is killed when it writes more, bytes.</summary>
    public required long MaxOutput { get; init; }

    /// <summary>Returns once it has ended well and all that it wrote is in <paramref name="output"/>.</summary>
    /// <exception cref="SwitchException">It can't be run, failed (with its own last words), took too long or wrote too much. It has ended in any case.</exception>
    public async Task RunAsync(Stream output, TimeProvider clock, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Deadline, clock);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        using var process = Start();
        var complaints = LastWordsAsync(process.StandardError, over.Token);
        try
        {
            await CopyAsync(process.StandardOutput.BaseStream, output, over.Token);
            await process.WaitForExitAsync(over.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SwitchException(Failure.TimedOut, $"{Program} did not end within {Deadline.TotalSeconds:0} s");
        }
        finally
        {
            await EndAsync(process);
        }

        if (process.ExitCode != 0) throw new SwitchException(Failure.Failed, $"{Program} failed: {await complaints}");
    }

    private Process Start()
    {
        var words = DetachedProcess.CommandLine(new(Program, Program, Arguments, "/") { User = User });
        var start = new ProcessStartInfo(words[0], words.Skip(1))
        {
            UseShellExecute = false, WorkingDirectory = "/", RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        // Nothing of ours is inherited.
        start.Environment.Clear();
        start.Environment["LANG"] = "C.UTF-8";
        start.Environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        try
        {
            var process = Process.Start(start)!;
            process.StandardInput.Close();
            return process;
        }
        catch (Win32Exception failure)
        {
            throw new SwitchException(Failure.Failed, $"{Program} can't be run: {failure.Message}", failure);
        }
    }

    private async Task CopyAsync(Stream from, Stream to, CancellationToken cancellationToken)
    {
        var buffer = new byte[128 * 1024];
        long written = 0;
        while (await from.ReadAsync(buffer, cancellationToken) is > 0 and var count)
        {
            written += count;
            if (written > MaxOutput) throw new SwitchException(Failure.Failed, $"{Program} wrote more than {MaxOutput} bytes");
            await to.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
        }
    }

    private static async Task<string> LastWordsAsync(StreamReader errors, CancellationToken cancellationToken)
    {
        var last = "it said nothing";
        try
        {
            while (await errors.ReadLineAsync(cancellationToken) is { } line)
                if (line.Trim() is { Length: > 0 } words) last = words.Length > LongestComplaint ? words[..LongestComplaint] : words;
        }
        catch (OperationCanceledException)
        {
            // Nobody asks any more.
        }

        return last;
    }

    private static async Task EndAsync(Process process)
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync(CancellationToken.None);
    }
}
