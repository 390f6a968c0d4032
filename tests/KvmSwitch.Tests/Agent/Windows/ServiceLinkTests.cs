using System.Threading.Channels;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Session;
using KvmSwitch.Agent.Windows.Tray;
using Xunit;

namespace KvmSwitch.Tests.Agent.Windows;

public sealed class ServiceLinkTests
{
    private static readonly FromService State = new(State: TrayExamples.Service);
    private readonly Channel<FakePipe> pipes = Channel.CreateUnbounded<FakePipe>();
    private readonly Channel<FromService> heard = Channel.CreateUnbounded<FromService>();
    private readonly Channel<ServiceHealth> unheard = Channel.CreateUnbounded<ServiceHealth>();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 20_000)]
    public async Task It_hears_asks_and_comes_again_after_the_service_was_away()
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var link = Create();
        Assert.False(link.TrySend(new(1, PipeVerb.Return, [], "tray")));
        var running = link.RunAsync(over.Token);
        Assert.Equal(ServiceHealth.Missing, await unheard.Reader.ReadAsync(Stop));

        using (var first = await ServeAsync())
        {
            Assert.True(link.TrySend(new(2, PipeVerb.Return, ["keyboard"], "tray")));
            var asked = await first.HearAsync(Stop);
            Assert.Equal((2ul, "keyboard"), (asked!.Id, Assert.Single(asked.Targets)));
        }

        await UnheardAsync();
        Assert.False(link.TrySend(new(3, PipeVerb.Return, [], "tray")));
        using var second = await ServeAsync();
        Assert.True(link.TrySend(new(4, PipeVerb.Return, [], "tray")));
        Assert.Equal(4ul, (await second.HearAsync(Stop))!.Id);

        await over.CancelAsync();
        await running;
    }

    [Fact(Timeout = 20_000)]
    public async Task Garbage_ends_the_connection_and_nothing_more()
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = Create().RunAsync(over.Token);
        using (var bad = await ServeAsync())
        {
            await bad.SayAsync("garbage");
            Assert.Null(await bad.HearAsync(Stop));
        }

        using var good = await ServeAsync();
        await over.CancelAsync();
        await running;
    }

    [Fact(Timeout = 20_000)]
    public async Task A_service_counts_as_stopped_only_after_a_while()
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider { AutoAdvanceAmount = TimeSpan.FromMilliseconds(50) };
        var running = Create(ServiceHealth.Stopped, time).RunAsync(over.Token);
        Assert.Equal(ServiceHealth.Waiting, await unheard.Reader.ReadAsync(Stop));
        ServiceHealth health;
        do
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        while (!unheard.Reader.TryRead(out health) || health == ServiceHealth.Waiting);
        Assert.Equal(ServiceHealth.Stopped, health);
        await over.CancelAsync();
        await running;
    }

    private ServiceLink Create(ServiceHealth health = ServiceHealth.Missing, TimeProvider? time = null) =>
        new(new(_ => pipes.Reader.TryRead(out var pipe) ? Task.FromResult(pipe.Session) : throw new IOException("no pipe"), () => health, time ?? TimeProvider.System))
        {
            Heard = message => heard.Writer.TryWrite(message),
            Unheard = state => unheard.Writer.TryWrite(state),
        };

    /// <summary>A service that is there when the link comes next; returns once its state was heard.</summary>
    private async Task<FakePipe> ServeAsync()
    {
        var pipe = await FakePipe.CreateAsync();
        await pipe.SayAsync(State);
        await pipes.Writer.WriteAsync(pipe, Stop);
        Assert.Equal("win", (await heard.Reader.ReadAsync(Stop)).State?.Machine);
        return pipe;
    }

    private async Task UnheardAsync()
    {
        while (unheard.Reader.TryRead(out _))
        {
        }

        await unheard.Reader.ReadAsync(Stop);
    }
}
