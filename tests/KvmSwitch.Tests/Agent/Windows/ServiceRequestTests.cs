using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Session;
using KvmSwitch.Agent.Windows.Tray;
using Xunit;

namespace KvmSwitch.Tests.Agent.Windows;

public sealed class ServiceRequestTests
{
    private static readonly FromService State = new(State: TrayExamples.Service);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_waits_for_its_own_answer()
    {
        using var pipe = await FakePipe.CreateAsync();
        var asking = ServiceRequest.AskAsync(PipeVerb.Request, ["keyboard"], Edges(pipe), Stop);
        await pipe.SayAsync(State);
        var heard = await pipe.HearAsync(Stop);
        Assert.Equal((PipeVerb.Request, "keyboard", "cli"), (heard!.Verb, Assert.Single(heard.Targets), heard.Gesture));
        await pipe.SayAsync(new FromService(Reply: new(heard.Id + 7, "not yours")));
        await pipe.SayAsync(new FromService(Notice: new(PipeNoticeKind.Arrived, "keyboard", null)));
        await pipe.SayAsync(new FromService(Reply: new(heard.Id, null)));
        await asking;
    }

    [Fact]
    public async Task A_no_is_told_as_it_came()
    {
        using var pipe = await FakePipe.CreateAsync();
        await pipe.SayAsync(new FromService(Reply: new(1, "keyboard is busy.")));
        var refused = await Assert.ThrowsAsync<RequestDeclinedException>(() => ServiceRequest.AskAsync(PipeVerb.Return, [], Edges(pipe), Stop));
        Assert.Equal("keyboard is busy.", refused.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("{\"state\":{\"version\":null}}")]
    public async Task What_is_no_message_is_said_to_be_none(string line)
    {
        using var pipe = await FakePipe.CreateAsync();
        await pipe.SayAsync(line);
        var broken = await Assert.ThrowsAsync<ServiceNotAnsweringException>(() => ServiceRequest.StateAsync(Edges(pipe), Stop));
        Assert.Contains("broke", broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_that_never_ends_is_cut_off()
    {
        using var pipe = await FakePipe.CreateAsync();
        await pipe.SayAsync(new string('x', PipeContract.LongestFromService + 1));
        await Assert.ThrowsAsync<ServiceNotAnsweringException>(() => ServiceRequest.StateAsync(Edges(pipe), Stop));
    }

    [Fact]
    public async Task A_service_that_leaves_is_said_to_have_left()
    {
        using var pipe = await FakePipe.CreateAsync();
        pipe.Dispose();
        await Assert.ThrowsAsync<ServiceNotAnsweringException>(() => ServiceRequest.StateAsync(Edges(pipe), Stop));
    }

    [Theory]
    [InlineData(ServiceHealth.Missing, "run the installer")]
    [InlineData(ServiceHealth.Stopped, "net start KvmSwitchAgent")]
    [InlineData(ServiceHealth.Waiting, "try again")]
    internal async Task Without_a_service_it_says_what_to_do(ServiceHealth health, string word)
    {
        var edges = new ServiceEdges(_ => throw new IOException("no pipe"), () => health, TimeProvider.System);
        var absent = await Assert.ThrowsAsync<ServiceNotAnsweringException>(() => ServiceRequest.StateAsync(edges, Stop));
        Assert.Contains(word, absent.Message, StringComparison.Ordinal);
    }

    private static ServiceEdges Edges(FakePipe pipe) => new(_ => Task.FromResult(pipe.Session), () => ServiceHealth.Waiting, TimeProvider.System);
}
