using KvmSwitch.Linux.Input;
using Xunit;

namespace KvmSwitch.Tests.Input;

public sealed class StandbyThreadsTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Work_that_blocks_keeps_no_other_work_waiting()
    {
        using var threads = new StandbyThreads("test");
        using var all = new CountdownEvent(3);
        Task Meet() => threads.Run(() =>
        {
            all.Signal();
            return all.Wait(Patience, Stop) ? Task.CompletedTask : throw new TimeoutException("the others did not come");
        });

        await Task.WhenAll(Meet(), Meet(), Meet()).WaitAsync(Patience, Stop);
    }

    [Fact]
    public async Task What_follows_an_await_is_on_no_thread_of_theirs_and_errors_are_told()
    {
        using var threads = new StandbyThreads("test");
        var names = new List<string?>();
        var failing = threads.Run(async () =>
        {
            names.Add(Thread.CurrentThread.Name);
            await Task.Yield();
            names.Add(Thread.CurrentThread.Name);
            throw new IOException("told");
        });

        Assert.Equal("told", (await Assert.ThrowsAsync<IOException>(() => failing.WaitAsync(Patience, Stop))).Message);
        Assert.Equal("test", names[0]);
        Assert.NotEqual("test", names[1]);
    }

    [Fact]
    public async Task What_was_asked_for_is_done_also_when_they_end()
    {
        var threads = new StandbyThreads("test");
        using var go = new ManualResetEventSlim();
        var works = Enumerable.Range(0, 20).Select(number => threads.Run(() =>
        {
            Assert.True(go.Wait(Patience, Stop));
            return Task.CompletedTask;
        })).ToArray();
        threads.Dispose();
        go.Set();

        await Task.WhenAll(works).WaitAsync(Patience, Stop);
    }
}
