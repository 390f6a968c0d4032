using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Tests.Agent;

/// <summary>A client of the service's pipe that sends what a test says, over a pair of streams.</summary>
internal sealed class PipeSide : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Pipe up = new();
    private readonly Pipe down = new(new PipeOptions(pauseWriterThreshold: 2048, resumeWriterThreshold: 1024));
    private readonly CancellationTokenSource stop = new();
    private readonly LineReader lines;

    public PipeSide(PipeService service)
    {
        lines = new(down.Reader.AsStream(), PipeContract.LongestFromService);
        Serving = service.ServeAsync(new Duplex(up.Reader.AsStream(), down.Writer.AsStream()), stop.Token);
    }

    /// <summary>Ends when the service is done with this client; tells why it cut it off.</summary>
    public Task<string?> Serving { get; }

    public Task SendAsync(ToService message) => SendAsync(JsonSerializer.Serialize(message, PipeJson.Default.ToService) + "\n");

    public async Task SendAsync(string text) => await up.Writer.WriteAsync(Encoding.UTF8.GetBytes(text));

    public async Task<FromService> NextAsync()
    {
        using var late = new CancellationTokenSource(Patience);
        var line = await lines.ReadAsync(late.Token) ?? throw new InvalidOperationException("the service ended the connection");
        return JsonSerializer.Deserialize(line.Span, PipeJson.Default.FromService)!;
    }

    public async Task<FromService> NextAsync(Func<FromService, bool> wanted)
    {
        while (true)
        {
            if (await NextAsync() is { } message && wanted(message))
                return message;
        }
    }

    public Task LeaveAsync() => up.Writer.CompleteAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await Serving.WaitAsync(Patience);
        stop.Dispose();
    }

    private sealed class Duplex(Stream read, Stream write) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() => write.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => write.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => read.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => read.ReadAsync(buffer, cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => write.Write(buffer, offset, count);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => write.WriteAsync(buffer, cancellationToken);
    }
}
