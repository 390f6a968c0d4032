using System.IO.Pipes;
using System.Security.Principal;
using System.Text.Json;
using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>A session's end of the pipe. Sending is for any thread, reading for one.</summary>
internal sealed class ServiceConnection(Stream stream) : IAsyncDisposable
{
    private readonly LineReader reader = new(stream, PipeContract.LongestFromService);
    private readonly SemaphoreSlim sending = new(1);

    /// <summary>Connects to the service of this computer, or fails at once: who wants to wait comes again.</summary>
    /// <exception cref="IOException">Nobody serves the pipe, or all its places are taken.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not open it.</exception>
    public static async Task<ServiceConnection> OpenAsync(CancellationToken cancellationToken)
    {
        // The server may learn who we are, but not act as us: by default any program that made the pipe first could.
        var pipe = new NamedPipeClientStream(
            ".", PipeContract.Name, PipeDirection.InOut, PipeOptions.Asynchronous, TokenImpersonationLevel.Identification);
        try
        {
            await pipe.ConnectAsync(TimeSpan.Zero, cancellationToken);
            return new(pipe);
        }
        catch (Exception failure)
        {
            await pipe.DisposeAsync();
            if (failure is TimeoutException)
                throw new IOException("The KvmSwitch service does not answer.", failure);
            throw;
        }
    }

    /// <summary>The next message; null when the service has closed the pipe.</summary>
    /// <exception cref="InvalidDataException">What came is not of the contract.</exception>
    /// <exception cref="IOException">The pipe broke.</exception>
    public async Task<FromService?> ReceiveAsync(CancellationToken cancellationToken)
    {
        if (await reader.ReadAsync(cancellationToken) is not { } line)
            return null;
        try
        {
            var message = JsonSerializer.Deserialize(line.Span, PipeJson.Default.FromService);
            return message is null or { State: null, Notice: null, Reply: null } ? throw new InvalidDataException("The service sent an empty message.") : message;
        }
        catch (JsonException damaged)
        {
            throw new InvalidDataException("The service sent something that is no message.", damaged);
        }
    }

    /// <exception cref="IOException">The pipe broke, or the message is longer than the service takes.</exception>
    public async Task SendAsync(ToService message, CancellationToken cancellationToken)
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(message, PipeJson.Default.ToService), (byte)'\n'];
        if (line.Length > PipeContract.LongestToService)
            throw new IOException("That names more than the service takes at once.");
        await sending.WaitAsync(cancellationToken);
        try
        {
            await stream.WriteAsync(line, cancellationToken);
            await stream.FlushAsync(cancellationToken);
        }
        finally
        {
            sending.Release();
        }
    }

    public ValueTask DisposeAsync() => stream.DisposeAsync();
}
