using System.Diagnostics;
using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Cli.Connection.Http2;

namespace KvmSwitch.Cli.Connection;

/// <summary>One call that is under way, with answers of one kind; every failure of it is an <see cref="RpcException"/>.</summary>
internal sealed class DaemonCall<T> : IAsyncStreamReader<T>, IDisposable
    where T : class
{
    private readonly Http2Call _call;
    private readonly Marshaller<T> _marshaller;
    private readonly CancellationTokenRegistration _cancellation;

    private DaemonCall(UnixSocket socket, Marshaller<T> marshaller, CallOptions options)
    {
        _marshaller = marshaller;
        _call = new Http2Call(socket, Until(options.Deadline));

        // Who waits in a system call is woken by the end of the connection, which is also how the daemon learns of it.
        _cancellation = options.CancellationToken.Register(() => socket.Shutdown());
    }

    public T Current { get; private set; } = null!;

    /// <exception cref="CliException">Nobody listens, or we may not talk to them.</exception>
    /// <exception cref="RpcException">The call could not be sent.</exception>
    public static DaemonCall<T> Begin<TRequest>(string path, Method<TRequest, T> method, CallOptions options, TRequest request)
        where TRequest : class
    {
        var bytes = new RequestBytes();
        method.RequestMarshaller.ContextualSerializer(request, bytes);
        var call = new DaemonCall<T>(DaemonSocket.Connect(path), method.ResponseMarshaller, options);
        try
        {
            call._call.Send(method.FullName, bytes.Written);
            return call;
        }
        catch (PeerGoneException failure)
        {
            call.Dispose();
            throw Lost(failure);
        }
    }

    /// <summary>Waits for the next answer; null when the daemon has ended the call well.</summary>
    /// <exception cref="RpcException">It failed.</exception>
    public T? Read()
    {
        try
        {
            return _call.Next() is { } message ? _marshaller.ContextualDeserializer(new AnswerBytes(message)) : null;
        }
        catch (PeerGoneException failure)
        {
            throw Lost(failure);
        }
        catch (Exception failure) when (failure is Http2ProtocolException or InvalidProtocolBufferException)
        {
            throw new RpcException(new Status(StatusCode.Internal, failure.Message, failure));
        }
    }

    public Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        var next = Read();
        Current = next ?? Current;
        return Task.FromResult(next is not null);
    }

    public void Dispose()
    {
        _cancellation.Dispose();
        _call.Dispose();
    }

    private static RpcException Lost(PeerGoneException failure) => new(new Status(StatusCode.Unavailable, failure.Message, failure));

    private static long? Until(DateTime? deadline) => deadline is { } time
        ? Stopwatch.GetTimestamp() + (long)((time - DateTime.UtcNow).TotalSeconds * Stopwatch.Frequency)
        : null;
}
