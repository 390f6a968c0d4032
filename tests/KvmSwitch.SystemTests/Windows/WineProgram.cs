using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>
/// A Windows program that <see cref="WineDesktop.Start"/> started. It writes into files, never into a pipe: Wine's own daemons would inherit the pipe and
/// hold it open. Disposing kills it.
/// </summary>
public sealed class WineProgram : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly ChildProcess _process;
    private readonly string _output;
    private readonly string _errors;

    private WineProgram(ChildProcess process, string output, string errors) => (_process, _output, _errors) = (process, output, errors);

    /// <summary>The process id that Linux gave it.</summary>
    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>All that it has written to standard output yet, with lines that end in LF.</summary>
    public string Output => Read(_output);

    /// <summary>The same of standard error.</summary>
    public string Error => Read(_errors);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <param name="files">Where its output goes: two files that begin so.</param>
    internal static WineProgram Start(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?> environment, string files)
    {
        const string Script = "out=$1; err=$2; shift 2; exec wine \"$@\" </dev/null >\"$out\" 2>\"$err\"";
        var (output, errors) = (files + ".out", files + ".err");
        return new(ChildProcess.Start("/bin/sh", ["-c", Script, "sh", output, errors, program, .. arguments], environment), output, errors);
    }

    /// <summary>Waits until standard output has what is wanted.</summary>
    /// <exception cref="TimeoutException">It has not; the message has what it has.</exception>
    public async Task WaitForOutputAsync(Func<string, bool> wanted, string what, TimeSpan? deadline = null)
    {
        try
        {
            await Condition.HoldsAsync(
                () => wanted(Output) || (HasExited && !wanted(Output) ? throw new TimeoutException("it ended before") : false), what, deadline ?? Patience, Stop);
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException($"{late.Message}; its output:\n{Output}{Error}", late);
        }
    }

    /// <summary>Waits for its end.</summary>
    /// <exception cref="TimeoutException">It goes on; it was killed, and the message has its output.</exception>
    public async Task<ProcessResult> WaitForExitAsync(TimeSpan? deadline = null)
    {
        try
        {
            return new(await _process.WaitForExitAsync(deadline ?? Patience, Stop), Output, Error);
        }
        catch (TimeoutException late)
        {
            await KillAsync();
            throw new TimeoutException($"{late.Message} Its output:\n{Output}{Error}", late);
        }
    }

    /// <summary>Ends it as a crash would, and waits until it is gone.</summary>
    public async Task KillAsync()
    {
        _process.Send(ProcessSignal.Kill);
        await _process.WaitForExitAsync(Patience, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        if (!HasExited) await KillAsync();
        await _process.DisposeAsync();
    }

    private static string Read(string path)
    {
        if (!File.Exists(path)) return "";
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return new StreamReader(file).ReadToEnd().Replace("\r\n", "\n", StringComparison.Ordinal);
    }
}
