using System.Globalization;
using System.Text;

namespace KvmSwitch.Demo.Harness;

/// <summary>What a command in the guest wrote (standard output and error together) and how it ended.</summary>
public sealed record ConsoleResult(int ExitStatus, string Output);

/// <summary>A command in the guest ended with a status other than 0.</summary>
public sealed class GuestCommandFailedException(string command, ConsoleResult result)
    : Exception($"The guest's command '{command}' ended with {result.ExitStatus}: {result.Output}")
{
    /// <summary>Output and status of the command.</summary>
    public ConsoleResult Result { get; } = result;
}

/// <summary>The shell on the demo guest's first serial port. One command runs at a time; more wait for their turn.</summary>
public sealed class SerialConsole : IAsyncDisposable
{
    // A terminal in canonical mode drops what is beyond 4095 bytes of a line (n_tty).
    private const int LongestLine = 4000;
    private const string Interrupt = "\u0003";
    private static readonly TimeSpan ProbeEvery = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan InterruptPatience = TimeSpan.FromSeconds(5);

    private readonly GuestSocket _socket;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly string _session = Guid.NewGuid().ToString("N")[..8];
    private int _commands;

    private SerialConsole(GuestSocket socket, Journal<string> lines, TimeProvider time) => (_socket, Lines, _time) = (socket, lines, time);

    /// <summary>Every line that came from the port, boot messages included.</summary>
    public Journal<string> Lines { get; }

    /// <summary>Connects to the Unix socket of <c>-serial unix:PATH,server=on,wait=off</c>, as soon as QEMU has made it.</summary>
    /// <exception cref="TimeoutException">QEMU did not listen there within <paramref name="deadline"/>.</exception>
    public static async Task<SerialConsole> ConnectAsync(string path, TimeSpan deadline, CancellationToken cancellation, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        var lines = new Journal<string>(time);
        var socket = await GuestSocket.ConnectAsync(path, line => lines.Add(line.TrimEnd('\r')), lines.End, deadline, time, cancellation);
        return new SerialConsole(socket, lines, time);
    }

    /// <summary>Waits until the guest has booted and its shell answers; also right when the guest was up before we connected.</summary>
    /// <exception cref="TimeoutException">It was not up within <paramref name="deadline"/>.</exception>
    /// <exception cref="EndOfStreamException">QEMU ended.</exception>
    /// <param name="from">How many lines to pass over: those of an earlier boot.</param>
    public async Task WaitForReadyAsync(TimeSpan deadline, CancellationToken cancellation, int from = 0)
    {
        var started = _time.GetTimestamp();
        while (_time.GetElapsedTime(started) < deadline)
        {
            try
            {
                await Lines.WaitForAsync(line => line.StartsWith("GUEST-READY", StringComparison.Ordinal) || IsEnd(line), ProbeEvery, cancellation, from);
                return;
            }
            catch (TimeoutException)
            {
                // The line may have been written before we connected: any answer to a probe is as good.
                await _socket.WriteAsync(Wrapped("true", NextId()), cancellation);
            }
        }

        throw new TimeoutException($"The guest was not up within {deadline.TotalSeconds:0.###} s; its last line: '{string.Concat(Lines.Entries.TakeLast(1))}'.");
    }

    /// <summary>Types a command and waits for nothing: for one that the guest doesn't survive.</summary>
    public async Task SendAsync(string command, CancellationToken cancellation) => await _socket.WriteAsync(command + "\n", cancellation);

    /// <summary>Runs a shell command in the guest and returns what it wrote.</summary>
    /// <exception cref="GuestCommandFailedException">It ended with a status other than 0.</exception>
    /// <exception cref="TimeoutException">It did not end within <paramref name="deadline"/>; it was interrupted and the shell is free again.</exception>
    /// <exception cref="EndOfStreamException">QEMU ended.</exception>
    public async Task<string> RunAsync(string command, TimeSpan deadline, CancellationToken cancellation)
    {
        var result = await TryRunAsync(command, deadline, cancellation);
        return result.ExitStatus == 0 ? result.Output : throw new GuestCommandFailedException(command, result);
    }

    /// <summary>As <see cref="RunAsync"/>, but a failing command is a result too.</summary>
    public async Task<ConsoleResult> TryRunAsync(string command, TimeSpan deadline, CancellationToken cancellation)
    {
        var id = NextId();
        var input = Wrapped(command, id);
        await _turn.WaitAsync(cancellation);
        try
        {
            var before = Lines.Count;
            await _socket.WriteAsync(input, cancellation);
            var end = await Lines.WaitForAsync(line => line.StartsWith(EndMark(id), StringComparison.Ordinal), deadline, cancellation, before);
            return ResultBetween(BeginMark(id), end, Lines.Entries.Skip(before));
        }
        catch (Exception reason) when (reason is TimeoutException or OperationCanceledException)
        {
            await InterruptAsync(id);
            throw reason is TimeoutException
                ? new TimeoutException($"The guest's command '{command}' did not end within {deadline.TotalSeconds:0.###} s.", reason)
                : new OperationCanceledException(reason.Message, reason, cancellation);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _socket.DisposeAsync();
        _turn.Dispose();
    }

    // Marks are unique to this connection and command, so that a late answer to an abandoned command can't be taken for ours.
    private static string BeginMark(string id) => $"@BEGIN-{id}";

    private static string EndMark(string id) => $"@END-{id} ";

    private static ConsoleResult ResultBetween(string begin, string end, IEnumerable<string> lines)
    {
        var output = lines.SkipWhile(line => line != begin).Skip(1).TakeWhile(line => line != end).ToList();
        // The end mark is written after a line break of its own: the line before it is what followed the last line break.
        if (output is [.., ""])
        {
            output.RemoveAt(output.Count - 1);
        }

        return new ConsoleResult(int.Parse(end[(end.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture), string.Join('\n', output));
    }

    private static string Wrapped(string command, string id)
    {
        var quoted = command.Replace("'", @"'\''", StringComparison.Ordinal);
        // The trap keeps the shell alive through an interrupt; it is not inherited by what the shell runs.
        var text = $"trap : INT; echo {BeginMark(id)}; (eval '{quoted}') </dev/null 2>&1; printf '\\n{EndMark(id)}%s\\n' \"$?\"\n";
        return text.Split('\n').All(line => Encoding.UTF8.GetByteCount(line) <= LongestLine)
            ? text
            : throw new ArgumentException($"A line of a guest's command is longer than {LongestLine} bytes: send it in parts.", nameof(command));
    }

    // Waits for the interrupted command's mark: the terminal throws away what is sent before the interrupt was handled.
    private async Task InterruptAsync(string id)
    {
        try
        {
            await _socket.WriteAsync(Interrupt, CancellationToken.None);
            await Lines.WaitForAsync(line => line.StartsWith(EndMark(id), StringComparison.Ordinal), InterruptPatience, CancellationToken.None);
        }
        catch (Exception reason) when (reason is TimeoutException or EndOfStreamException)
        {
            Lines.Add($"The guest's shell did not take the interrupt: {reason.Message}");
        }
    }

    private bool IsEnd(string line) => line.StartsWith($"@END-{_session}-", StringComparison.Ordinal);

    private string NextId() => $"{_session}-{Interlocked.Increment(ref _commands)}";
}
