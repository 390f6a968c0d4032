using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Cli.Connection.Http2;
using KvmSwitch.Cli.Parsing;

namespace KvmSwitch.Cli.Connection;

/// <summary>From a call that failed to an exit code and a sentence.</summary>
internal static class CallFailure
{
    private const string ExitTrailer = "kvmswitch-exit";
    private const string Look = "'kvmswitch status' shows where things are";

    /// <param name="failure">What gRPC says.</param>
    /// <param name="call">The call that was made.</param>
    /// <param name="socket">The daemon's socket.</param>
    public static CliException Describe(RpcException failure, Call call, string socket)
    {
        if (Trailer(failure) is { } exit)
        {
            return new CliException(exit, failure.Status.Detail, failure);
        }

        return failure.StatusCode switch
        {
            StatusCode.DeadlineExceeded => new CliException(
                ExitCode.Failed,
                $"the daemon did not answer within {DurationText.Format(call.Deadline ?? TimeSpan.Zero)}{(call.Changes ? $": {Look}" : "")}",
                failure),
            StatusCode.Unimplemented => new CliException(
                ExitCode.Failed,
                $"the running daemon does not know '{call.Name}': it has another version than this kvmswitch ({CommandLine.Version}); " +
                "restart it after an upgrade with 'sudo systemctl restart kvmswitchd'",
                failure),
            StatusCode.PermissionDenied or StatusCode.FailedPrecondition => new CliException(ExitCode.Refused, failure.Status.Detail, failure),
            StatusCode.InvalidArgument => new CliException(ExitCode.Usage, failure.Status.Detail, failure),
            _ when NotOurProtocol(failure) => new CliException(
                ExitCode.NoDaemon,
                $"what listens at {socket} does not talk like the KvmSwitch daemon: check --socket and KVMSWITCH_SOCKET, or the daemon's log (journalctl -u kvmswitchd)",
                failure),
            _ when failure.Status.DebugException is PeerGoneException => Lost(call, failure),
            _ => new CliException(ExitCode.Failed, $"the daemon failed at '{call.Name}': {failure.Status.Detail}", failure),
        };
    }

    /// <summary>The answer ended before it was complete, without an error.</summary>
    public static CliException Lost(Call call, Exception? failure = null) => new(
        ExitCode.NoDaemon,
        $"the daemon closed the connection before it had answered; {(call.Changes ? Look : "its log tells why")} (journalctl -u kvmswitchd)",
        failure);

    private static bool NotOurProtocol(RpcException failure) =>
        failure.Status.DebugException is Http2ProtocolException or InvalidProtocolBufferException;

    private static ExitCode? Trailer(RpcException failure)
    {
        var text = failure.Trailers.GetValue(ExitTrailer);
        if (text is null)
        {
            return null;
        }

        var known = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= 5;
        return known ? (ExitCode)number : ExitCode.Failed;
    }
}
