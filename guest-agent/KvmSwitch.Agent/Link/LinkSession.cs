using System.Threading.Channels;
using Grpc.Core;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Link;

/// <summary>One link, from hello to its end.</summary>
internal sealed class LinkSession(
    AsyncDuplexStreamingCall<AgentMessage, HostMessage> call,
    IDeviceWatcher devices,
    bool canEject,
    TimeProvider time) : IDisposable
{
    // The host reads all the time: this much unsent means that it stopped, and a new link starts with a complete hello.
    private const int MostUnsent = 1024;
    private static readonly TimeSpan GoodbyeTimeout = TimeSpan.FromMilliseconds(300);

    private readonly Channel<AgentMessage> unsent =
        Channel.CreateBounded<AgentMessage>(new BoundedChannelOptions(MostUnsent) { SingleReader = true });

    private readonly CancellationTokenSource ended = new();
    private readonly CancellationTokenSource silence = new(HostChannel.ConnectTimeout, time);
    private readonly DeviceSnapshot greeted = devices.Current.Telling(new HashSet<DeviceBus>());
    private Task beating = Task.CompletedTask;
    private Task reporting = Task.CompletedTask;
    private TimeSpan? lease;
    private long heard = time.GetTimestamp();
    private volatile bool leaving;
    private volatile string? reason;

    /// <summary>Called for each message of the host, in order, on the session's own task.</summary>
    public required Action<HostMessage> Received { get; init; }

    /// <summary>False when the link is ending: the message will not be sent.</summary>
    public bool Send(AgentMessage message)
    {
        if (unsent.Writer.TryWrite(message))
            return true;
        if (!leaving)
            End("the host no longer reads");
        return false;
    }

    /// <summary>Runs until the link ends, or says goodbye when <paramref name="stop"/> is asked for.</summary>
    /// <param name="version">Of this program, for people.</param>
    /// <param name="operatingSystem">For people.</param>
    /// <param name="stop">Ends the link in good order.</param>
    /// <exception cref="RpcException">The host ended the link with an error, or the connection broke.</exception>
    /// <exception cref="LinkLostException">This side ended it, or the host closed it; the message says why.</exception>
    public async Task RunAsync(string version, string operatingSystem, CancellationToken stop)
    {
        Send(Messages.Hello(version, operatingSystem, greeted, canEject));
        await using var leave = stop.Register(Leave);
        await using var impatient = silence.Token.Register(() => End("the host is silent"));
        var sending = UntilEndAsync(SendAllAsync);
        try
        {
            await ReceiveAsync();
            reason ??= "the host closed it";
        }
        catch (Exception echo) when (ended.IsCancellationRequested && echo is RpcException or OperationCanceledException)
        {
            // This side ended the link; the call only repeats it.
        }
        finally
        {
            await ended.CancelAsync();
            await Task.WhenAll(sending, reporting, beating);
        }

        if (!leaving && reason is { } lost)
            throw new LinkLostException(lost);
    }

    public void Dispose()
    {
        call.Dispose();
        silence.Dispose();
        ended.Dispose();
    }

    private void End(string why)
    {
        reason ??= why;
        ended.Cancel();
    }

    private void Leave()
    {
        leaving = true;
        unsent.Writer.TryComplete();
        ended.CancelAfter(GoodbyeTimeout);
    }

    private async Task ReceiveAsync()
    {
        while (await call.ResponseStream.MoveNext(ended.Token))
        {
            var message = call.ResponseStream.Current;
            switch (message.MessageCase)
            {
                case HostMessage.MessageOneofCase.Welcome when lease is null:
                    var timing = LinkTiming.Of(message.Welcome);
                    lease = timing.Lease;
                    Heard(timing.Lease);
                    beating = UntilEndAsync(token => BeatAsync(timing, token));
                    var buses = Messages.Buses(message.Welcome);
                    reporting = UntilEndAsync(token => ReportAsync(buses, token));
                    break;
                case HostMessage.MessageOneofCase.HeartbeatReply when lease is { } patience:
                    Heard(patience);
                    break;
            }

            Received(message);
        }
    }

    private void Heard(TimeSpan patience)
    {
        Volatile.Write(ref heard, time.GetTimestamp());
        silence.CancelAfter(patience);
    }

    private async Task BeatAsync(LinkTiming timing, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(timing.Heartbeat, time);
        for (ulong sequence = 1; Send(Messages.Heartbeat(sequence)); sequence++)
        {
            await timer.WaitForNextTickAsync(cancellationToken);

            // This guest stood still for so long that the link is given up: it must not seem alive for one beat more.
            if (time.GetElapsedTime(Volatile.Read(ref heard)) > timing.Lease)
            {
                End("the host is silent");
                return;
            }
        }
    }

    /// <summary>Tells what changed since the hello, and what the host understands beyond it; from then on each change.</summary>
    private async Task ReportAsync(IReadOnlySet<DeviceBus> buses, CancellationToken cancellationToken)
    {
        var told = greeted;
        for (var seen = devices.Current; ; seen = await devices.NextAsync(seen, cancellationToken))
        {
            var telling = seen.Telling(buses);
            foreach (var change in telling.Since(told))
                Send(Messages.Sighting(change));
            told = telling;
        }
    }

    private async Task SendAllAsync(CancellationToken cancellationToken)
    {
        await foreach (var message in unsent.Reader.ReadAllAsync(cancellationToken))
            await call.RequestStream.WriteAsync(message, cancellationToken);
        await call.RequestStream.CompleteAsync();
    }

    private async Task UntilEndAsync(Func<CancellationToken, Task> work)
    {
        try
        {
            await work(ended.Token);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // The end of the link is the end of this task.
        }
        catch (Exception broken) when (broken is RpcException or InvalidOperationException or IOException or HttpRequestException)
        {
            // The call is over: the receiving side learns why, and tells.
        }
    }
}
