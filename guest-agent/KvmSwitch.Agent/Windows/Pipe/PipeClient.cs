using System.Text.Json;
using System.Threading.Channels;

namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>One client of the pipe, as the service sees it: what it is to be told.</summary>
internal sealed class PipeClient(PipeBoard board)
{
    // More than anybody has unread who reads at all.
    private const int MostUnread = 64;

    // A null stands for the newest state, so that however often that changes, it takes one place.
    private readonly Channel<FromService?> unread = Channel.CreateBounded<FromService?>(new BoundedChannelOptions(MostUnread) { SingleReader = true });
    private readonly TaskCompletionSource full = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int stateDue;

    /// <summary>Ends when the client has read too little of what it was sent.</summary>
    public Task Full => full.Task;

    /// <summary>Sends the state as it is when its turn comes.</summary>
    public void SendState()
    {
        if (Interlocked.Exchange(ref stateDue, 1) == 0)
            Send(null);
    }

    /// <summary>Never waits: who reads nothing is left.</summary>
    public void Send(FromService? message)
    {
        if (!unread.Writer.TryWrite(message))
            full.TrySetResult();
    }

    /// <summary>Writes lines until cancelled or the stream breaks.</summary>
    /// <exception cref="IOException">The stream broke.</exception>
    public async Task WriteAsync(Stream stream, CancellationToken cancellationToken)
    {
        await foreach (var message in unread.Reader.ReadAllAsync(cancellationToken))
        {
            if (message is not null)
                await WriteAsync(stream, message, cancellationToken);
            if (Interlocked.Exchange(ref stateDue, 0) == 1)
                await WriteAsync(stream, new FromService(State: board.State), cancellationToken);
        }
    }

    private static async Task WriteAsync(Stream stream, FromService message, CancellationToken cancellationToken)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(message, PipeJson.Default.FromService);
        var line = new byte[json.Length + 1];
        json.CopyTo(line, 0);
        line[^1] = (byte)'\n';
        await stream.WriteAsync(line, cancellationToken);
        await stream.FlushAsync(cancellationToken);
    }
}
