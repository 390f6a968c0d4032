using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>What an agent sends, bounded: so many messages a second, none later than it may be, nothing that can't be read.</summary>
internal sealed class AgentInbox : IDisposable
{
    public const int MaxMessagesPerSecond = 200;

    private readonly IAsyncStreamReader<AgentMessage> stream;
    private readonly TokenBucket allowance;
    private readonly CancellationTokenSource late = new();
    private readonly MovingDeadline patience;

    public AgentInbox(IAsyncStreamReader<AgentMessage> stream, TimeProvider time)
    {
        this.stream = stream;
        allowance = new(MaxMessagesPerSecond, MaxMessagesPerSecond, time);
        patience = new(time, late.Cancel);
    }

    /// <summary>The next message; null when the agent ended the stream.</summary>
    /// <exception cref="RpcException">The agent sent garbage, too much, or nothing for so long; or its connection was lost (CANCELLED).</exception>
    /// <exception cref="OperationCanceledException">Cancelled by this token.</exception>
    public async Task<AgentMessage?> NextAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        patience.Set(deadline);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            if (!await stream.MoveNext(either.Token)) return null;
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidDataException)
        {
            throw Ended(StatusCode.InvalidArgument, "the agent sent a message that can't be read");
        }
        catch (Exception e) when (e is IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw late.IsCancellationRequested
                ? Ended(StatusCode.DeadlineExceeded, $"the agent said nothing for {deadline.TotalSeconds:0.#} s")
                : Ended(StatusCode.Cancelled, "the connection was lost");
        }

        return allowance.TryTake()
            ? stream.Current
            : throw Ended(StatusCode.ResourceExhausted, $"the agent sent more than {MaxMessagesPerSecond} messages a second");
    }

    public void Dispose()
    {
        patience.Dispose();
        late.Dispose();
    }

    private static RpcException Ended(StatusCode code, string why) => new(new Status(code, why));
}
