using System.Globalization;
using System.Net.Sockets;
using System.Text;
using KvmSwitch.Demo.Harness;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>A command in the lab's Linux host ended with a status other than 0.</summary>
public sealed class LabCommandFailedException(string script, ProcessResult result)
    : Exception($"In the lab's host '{script}' ended with {result.ExitCode}: {result.Error.Trim()} {result.Output.Trim()}")
{
    public ProcessResult Result { get; } = result;
}

/// <summary>A shell in the lab's Linux host: one connection for each command, as many at once as wanted (tests/lab/l1/lab-serve).</summary>
public sealed class LabShell(int port)
{
    // Starting a shell takes its time under emulation, and several seconds when the computer is busy.
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    /// <summary>The host has left a request unanswered long after its deadline: it has broken down, and waiting for it any more is in vain.</summary>
    public bool IsSilent { get; private set; }

    /// <summary>Runs a script of bash as root, whatever it ends with.</summary>
    /// <param name="deadline">In the host; when it passes, the script is ended and the status is 124. Default: two minutes.</param>
    /// <exception cref="IOException">The host did not answer properly.</exception>
    /// <exception cref="TimeoutException">The host did not answer at all.</exception>
    public async Task<ProcessResult> TryRunAsync(string script, CancellationToken cancellation, TimeSpan? deadline = null, string input = "")
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        late.CancelAfter((deadline ?? Patience) + Margin);
        try
        {
            await using var stream = await OpenAsync("run", script, deadline ?? Patience, input, late.Token);
            using var reply = new MemoryStream();
            await stream.CopyToAsync(reply, late.Token);
            return Parse(reply.ToArray());
        }
        catch (OperationCanceledException silence) when (!cancellation.IsCancellationRequested)
        {
            IsSilent = true;
            throw new TimeoutException($"the lab's host has broken down: no answer to '{script}' a minute after its deadline", silence);
        }
    }

    /// <summary>Runs a script and returns what it wrote, without the last line break.</summary>
    /// <exception cref="LabCommandFailedException">It did not end with 0.</exception>
    public async Task<string> RunAsync(string script, CancellationToken cancellation, TimeSpan? deadline = null, string input = "")
    {
        var result = await TryRunAsync(script, cancellation, deadline, input);
        return result.ExitCode == 0 ? result.Output.TrimEnd('\n') : throw new LabCommandFailedException(script, result);
    }

    /// <summary>Runs a script whose input and output are the returned stream; it ends when the stream is closed.</summary>
    public Task<Stream> StreamAsync(string script, TimeSpan deadline, CancellationToken cancellation) =>
        OpenAsync("stream", script, deadline, "", cancellation);

    private static ProcessResult Parse(byte[] reply)
    {
        var end = Array.IndexOf(reply, (byte)'\n');
        var numbers = (end < 0 ? "" : Encoding.ASCII.GetString(reply, 0, end)).Split(' ');
        if (numbers.Length != 3) throw new IOException($"the lab's host gave no proper answer ({reply.Length} bytes); its console is in serial.log");
        var (status, output, errors) = (Number(numbers[0]), Number(numbers[1]), Number(numbers[2]));
        return reply.Length == end + 1 + output + errors
            ? new(status, Encoding.UTF8.GetString(reply, end + 1, output), Encoding.UTF8.GetString(reply, end + 1 + output, errors))
            : throw new IOException("the lab's host broke off its answer");
    }

    private static int Number(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private async Task<Stream> OpenAsync(string verb, string script, TimeSpan deadline, string input, CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync("127.0.0.1", port, cancellation);
            var (text, more) = (Encoding.UTF8.GetBytes(script), Encoding.UTF8.GetBytes(input));
            var head = string.Create(CultureInfo.InvariantCulture, $"{verb} {Math.Ceiling(deadline.TotalSeconds)} {text.Length} {more.Length}\n");
            var stream = new NetworkStream(socket, ownsSocket: true);
            await stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. text, .. more], cancellation);
            return stream;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
