using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Control;
using KvmSwitch.Proto.V1;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>What of a failure leaves the daemon.</summary>
public sealed class FailuresTests
{
    public static TheoryData<string, StatusCode, string> Translations { get; } = new()
    {
        { nameof(Failure.Usage), StatusCode.InvalidArgument, "2" },
        { nameof(Failure.Refused), StatusCode.FailedPrecondition, "4" },
        { nameof(Failure.TimedOut), StatusCode.DeadlineExceeded, "5" },
        { nameof(Failure.Failed), StatusCode.Aborted, "1" },
    };

    [Theory]
    [MemberData(nameof(Translations))]
    public async Task Each_failure_has_its_status_and_exit_code(string failure, StatusCode code, string exit)
    {
        var (status, trailer) = await TranslateAsync(new SwitchException(Enum.Parse<Failure>(failure), "one sentence", new InvalidOperationException("secret")));
        Assert.Equal((code, "one sentence", exit), (status.StatusCode, status.Detail, trailer));
    }

    [Fact]
    public async Task A_disk_that_fails_is_told_in_its_own_words()
    {
        var (status, trailer) = await TranslateAsync(new IOException("no space left on /var"));
        Assert.Equal(("no space left on /var", "1"), (status.Detail, trailer));
    }

    [Fact]
    public async Task Of_a_defect_nothing_leaves_the_daemon()
    {
        var (status, trailer) = await TranslateAsync(new InvalidOperationException("the secret is 42"));
        Assert.Equal((StatusCode.Internal, "1"), (status.StatusCode, trailer));
        Assert.DoesNotContain("42", status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_who_left_is_no_defect()
    {
        var (status, trailer) = await TranslateAsync(new OperationCanceledException(), new(canceled: true));
        Assert.Equal((StatusCode.Cancelled, "1"), (status.StatusCode, trailer));
    }

    private static async Task<(Status Status, string? Exit)> TranslateAsync(Exception failure, CancellationToken cancelled = default)
    {
        var failures = new Failures(NullLogger<Failures>.Instance);
        var context = new Call(cancelled);
        var unary = await Assert.ThrowsAsync<RpcException>(() =>
            failures.UnaryServerHandler<GetStateRequest, State>(new(), context, (_, _) => Task.FromException<State>(failure)));
        var streamed = await Assert.ThrowsAsync<RpcException>(() =>
            failures.ServerStreamingServerHandler<GetStateRequest, State>(new(), null!, context, (_, _, _) => Task.FromException(failure)));
        Assert.Equal(unary.Status, streamed.Status);
        return (unary.Status, unary.Trailers.GetValue("kvmswitch-exit"));
    }

    private sealed class Call(CancellationToken cancelled) : ServerCallContext
    {
        protected override string MethodCore => "/test";

        protected override string HostCore => "";

        protected override string PeerCore => "";

        protected override DateTime DeadlineCore => DateTime.MaxValue;

        protected override Metadata RequestHeadersCore { get; } = [];

        protected override CancellationToken CancellationTokenCore => cancelled;

        protected override Metadata ResponseTrailersCore { get; } = [];

        protected override Status StatusCore { get; set; }

        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override AuthContext AuthContextCore => new(null, []);

        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }
}
