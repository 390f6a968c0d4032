using Grpc.Core;

namespace KvmSwitch.Cli.Connection;

/// <summary>
/// Carries the generated client's calls to the daemon, each on a connection of its own. It waits on the caller's thread: the tasks that it
/// returns have ended already.
/// </summary>
/// <param name="path">The daemon's socket.</param>
internal sealed class DaemonCalls(string path) : CallInvoker
{
    private static readonly Task<Metadata> NoHeaders = Task.FromResult(new Metadata());

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = DaemonCall<TResponse>.Begin(path, method, options, request);
        return new(AnswerAsync(call), NoHeaders, Succeeded, NoTrailers, call.Dispose);
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = DaemonCall<TResponse>.Begin(path, method, options, request);
        return new(call, NoHeaders, Succeeded, NoTrailers, call.Dispose);
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw Unused();

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw Unused();

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw Unused();

    private static Task<TResponse> AnswerAsync<TResponse>(DaemonCall<TResponse> call)
        where TResponse : class
    {
        try
        {
            return call.Read() is { } answer
                ? Task.FromResult(answer)
                : throw new RpcException(new Status(StatusCode.Internal, "the answer is empty"));
        }
        catch (RpcException failure)
        {
            return Task.FromException<TResponse>(failure);
        }
    }

    private static Status Succeeded() => Status.DefaultSuccess;

    private static Metadata NoTrailers() => [];

    private static NotSupportedException Unused() => new("the control service has no call of this kind");
}
