using System.Globalization;
using Grpc.Core;
using Grpc.Core.Interceptors;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Control;

/// <summary>Turns failures into gRPC statuses with the trailer <c>kvmswitch-exit</c> (control.proto). Nothing else of them leaves the daemon.</summary>
internal sealed partial class Failures(ILogger<Failures> log) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception failure)
        {
            throw Translate(failure, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception failure)
        {
            throw Translate(failure, context);
        }
    }

    private RpcException Translate(Exception failure, ServerCallContext context)
    {
        switch (failure)
        {
            case RpcException status:
                return status;
            case SwitchException refusal:
                LogRefused(context.Method, refusal.Message);
                return Status(CodeOf(refusal.Failure), refusal.Message, (int)refusal.Failure);
            case OperationCanceledException when context.CancellationToken.IsCancellationRequested:
                return Status(StatusCode.Cancelled, "the call was cancelled", (int)Failure.Failed);
            case IOException or UnauthorizedAccessException:
                LogRefused(context.Method, failure.Message);
                return Status(StatusCode.Internal, failure.Message, (int)Failure.Failed);
            default:
                LogDefect(context.Method, failure);
                return Status(StatusCode.Internal, "the daemon met an error of its own; its log tells more", (int)Failure.Failed);
        }
    }

    private static StatusCode CodeOf(Failure failure) => failure switch
    {
        Failure.Usage => StatusCode.InvalidArgument,
        Failure.Refused => StatusCode.FailedPrecondition,
        Failure.TimedOut => StatusCode.DeadlineExceeded,
        _ => StatusCode.Aborted,
    };

    private static RpcException Status(StatusCode code, string message, int exit) => new(
        new Status(code, message), new Metadata { { "kvmswitch-exit", exit.ToString(CultureInfo.InvariantCulture) } });

    [LoggerMessage(1200, LogLevel.Information, "{Method}: {Reason}")]
    private partial void LogRefused(string method, string reason);

    [LoggerMessage(1201, LogLevel.Error, "{Method} failed")]
    private partial void LogDefect(string method, Exception failure);
}
