using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvmSwitch.Demo.Harness;

/// <summary>Signals that a test or the demo sends; the numbers are those of signal(7) on x86-64.</summary>
public enum ProcessSignal
{
    /// <summary>SIGINT.</summary>
    Interrupt = 2,

    /// <summary>SIGKILL.</summary>
    Kill = 9,

    /// <summary>SIGTERM.</summary>
    Terminate = 15,

    /// <summary>SIGCONT.</summary>
    Continue = 18,

    /// <summary>SIGSTOP: the process freezes.</summary>
    Stop = 19,
}

/// <summary>A line that a program wrote, to standard error or to standard output.</summary>
public sealed record ProcessLine(bool IsError, string Text);

/// <summary>How a program ended and all that it wrote.</summary>
public sealed record ProcessResult(int ExitCode, string Output, string Error);

/// <summary>A program that we started, with its lines. Disposing ends it: SIGTERM, and SIGKILL after five seconds. Its own children are not touched.</summary>
public sealed partial class ChildProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan OutputPatience = TimeSpan.FromSeconds(1);
    private readonly Process _process;
    private readonly TimeProvider _time;
    private readonly TaskCompletionSource _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _reading;

    private ChildProcess(Process process, TimeProvider time)
    {
        (_process, _time, Name, Lines) = (process, time, Path.GetFileName(process.StartInfo.FileName), new Journal<ProcessLine>(time));
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => _exited.TrySetResult();
        process.Start();
        process.StandardInput.Close();
        Id = process.Id;
        _reading = ReadAllAsync();
    }

    /// <summary>The program's file name.</summary>
    public string Name { get; }

    /// <summary>The process id.</summary>
    public int Id { get; }

    /// <summary>True once the process is gone.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>All lines up to now; ends when the program has closed both its outputs.</summary>
    public Journal<ProcessLine> Lines { get; }

    /// <summary>Starts a program with an empty standard input. A null value in <paramref name="environment"/> removes that variable.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">The program can't be started.</exception>
    public static ChildProcess Start(
        string program,
        IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? directory = null,
        TimeProvider? time = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = directory ?? "",
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>(StringComparer.Ordinal))
        {
            start.Environment[name] = value;
        }

        return new ChildProcess(new Process { StartInfo = start }, time ?? TimeProvider.System);
    }

    /// <summary>Runs a program to its end.</summary>
    /// <exception cref="TimeoutException">It did not end within <paramref name="deadline"/>; it was ended.</exception>
    public static async Task<ProcessResult> RunAsync(
        string program,
        IEnumerable<string> arguments,
        TimeSpan deadline,
        CancellationToken cancellation,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        await using var child = Start(program, arguments, environment);
        var code = await child.WaitForExitAsync(deadline, cancellation);
        return new ProcessResult(code, child.Text(isError: false), child.Text(isError: true));
    }

    /// <summary>Waits for a line on either output.</summary>
    /// <exception cref="TimeoutException">None came within <paramref name="deadline"/>.</exception>
    /// <exception cref="EndOfStreamException">The program ended before; the message has its last lines.</exception>
    public async Task<string> WaitForLineAsync(Func<string, bool> match, TimeSpan deadline, CancellationToken cancellation, int from = 0) =>
        (await Lines.WaitForAsync(line => match(line.Text), deadline, cancellation, from)).Text;

    /// <summary>Waits for the end and returns the exit code (128 + n after signal n).</summary>
    /// <exception cref="TimeoutException">It did not end within <paramref name="deadline"/>.</exception>
    public async Task<int> WaitForExitAsync(TimeSpan deadline, CancellationToken cancellation)
    {
        try
        {
            await _exited.Task.WaitAsync(deadline, _time, cancellation);
        }
        catch (TimeoutException reason)
        {
            throw new TimeoutException($"{Name} (process {Id}) did not end within {deadline.TotalSeconds:0.###} s.", reason);
        }

        // A child of its own may hold the outputs open for ever, so their end is waited for a moment only.
        await Task.WhenAny(_reading, Task.Delay(OutputPatience, _time, cancellation));
        return _process.ExitCode;
    }

    /// <summary>Sends a signal; does nothing when the process is gone.</summary>
    public void Send(ProcessSignal signal)
    {
        if (!_process.HasExited)
        {
            _ = SendSignal(Id, (int)signal);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Send(ProcessSignal.Terminate);
            await Task.WhenAny(_exited.Task, Task.Delay(Patience, _time));
            Send(ProcessSignal.Kill);
            await Task.WhenAny(_exited.Task, Task.Delay(Patience, _time));
        }

        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);

    private string Text(bool isError) =>
        string.Concat(Lines.Entries.Where(line => line.IsError == isError).Select(line => line.Text + "\n"));

    private async Task ReadAllAsync()
    {
        await Task.WhenAll(ReadAsync(_process.StandardOutput, isError: false), ReadAsync(_process.StandardError, isError: true));
        var last = string.Join(" / ", Lines.Entries.TakeLast(5).Select(line => line.Text));
        Lines.End($"{Name} (process {Id}) closed its output; its last lines: {last}");
    }

    private async Task ReadAsync(StreamReader reader, bool isError)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            Lines.Add(new ProcessLine(isError, line));
        }
    }
}
