using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Block;

public sealed class DiscWatchTests : IDisposable
{
    private const string Link = "ata-BD";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly BlockTree _tree = new();
    private readonly FakeDrives _drives = new();
    private readonly FakeTimeProvider _clock = new();
    private volatile bool _isLent;

    public DiscWatchTests() => _tree.AddDrive("sr0", Link);

    private FakeDrive Drive => _drives["sr0"];

    public void Dispose() => _tree.Dispose();

    [Fact]
    public async Task Three_discs_one_after_the_other_come_in_and_leave()
    {
        await using var news = Watch(Automatic);
        Drive.State = DiscState.None;

        for (var disc = 1; disc <= 3; disc++)
        {
            (Drive.Disc, Drive.State) = ($"{disc}", DiscState.Present);
            Assert.Equal(DiscNews.CameIn, await NextAsync(news));
            _isLent = true;
            Drive.State = DiscState.TrayOpen;
            Assert.Equal(DiscNews.Left, await NextAsync(news));
            _isLent = false;
        }
    }

    [Fact]
    public async Task A_drive_taken_home_with_its_disc_in_is_not_given_away_again()
    {
        await using var news = Watch(Automatic);
        Assert.Equal(DiscNews.CameIn, await NextAsync(news));

        _isLent = true;
        var next = news.MoveNextAsync().AsTask();
        await UntilAsync(() => Drive.Opened > Drive.Closed);
        _isLent = false;
        var read = Drive.Read;
        await UntilAsync(() => Drive.Read > read + 1);
        Assert.False(next.IsCompleted);

        Drive.Disc = "another";
        Assert.Equal(DiscNews.CameIn, await NextAsync(news, next));
    }

    [Fact]
    public async Task A_drive_that_is_not_automatic_is_left_alone_at_home_and_comes_home_when_its_disc_leaves()
    {
        await using var news = Watch(ByHand);
        var next = news.MoveNextAsync().AsTask();
        for (var i = 0; i < 3; i++) await PassAsync();
        Assert.Equal(0, Drive.Opened);

        _isLent = true;
        Drive.State = DiscState.None;

        Assert.Equal(DiscNews.Left, await NextAsync(news, next));
    }

    [Fact]
    public async Task While_it_is_lent_the_drive_is_opened_once_and_its_disc_is_not_read()
    {
        _isLent = true;
        await using var news = Watch(Automatic);
        var next = news.MoveNextAsync().AsTask();

        await UntilAsync(() => Drive.Asked > 4);

        Assert.Equal((1, 0, 0), (Drive.Opened, Drive.Closed, Drive.Read));
        Drive.State = DiscState.None;
        Assert.Equal(DiscNews.Left, await NextAsync(news, next));
    }

    [Fact]
    public async Task A_drive_unplugged_while_lent_has_lost_its_disc()
    {
        _isLent = true;
        await using var news = Watch(ByHand);
        var next = news.MoveNextAsync().AsTask();
        await UntilAsync(() => Drive.Asked > 0);

        Drive.Trouble = Libc.ENXIO;

        Assert.Equal(DiscNews.Left, await NextAsync(news, next));
    }

    [Fact]
    public async Task A_drive_that_can_not_be_asked_is_not_taken_from_the_guest()
    {
        _isLent = true;
        Drive.Trouble = Libc.EACCES;
        await using var news = Watch(ByHand);
        var next = news.MoveNextAsync().AsTask();

        await UntilAsync(() => Drive.Refused > 2);

        Assert.False(next.IsCompleted);
        Drive.Trouble = null;
        Drive.State = DiscState.None;
        Assert.Equal(DiscNews.Left, await NextAsync(news, next));
    }

    private static Device Automatic => Named(MachineId.Parse("windows"));

    private static Device ByHand => Named(null);

    private static Device Named(MachineId? auto) => new(DeviceId.Parse("bluray"), DeviceClass.Storage, new DeviceRoute.Optical(Link, auto), default);

    private IAsyncEnumerator<DiscNews> Watch(Device device) =>
        new DiscWatch(_tree.Paths, _tree.Events, _clock, _drives).WatchAsync(device, () => _isLent, CancellationToken.None).GetAsyncEnumerator();

    /// <summary>Lets the watch look as often as it takes, by events and by the clock.</summary>
    private async Task<DiscNews> NextAsync(IAsyncEnumerator<DiscNews> news, Task<bool>? next = null)
    {
        next ??= news.MoveNextAsync().AsTask();
        using var patience = new CancellationTokenSource(Deadline);
        while (!next.IsCompleted)
        {
            patience.Token.ThrowIfCancellationRequested();
            await PassAsync();
        }

        Assert.True(await next);
        return news.Current;
    }

    private async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(Deadline);
        for (; !isSo(); await PassAsync()) patience.Token.ThrowIfCancellationRequested();
    }

    private async Task PassAsync()
    {
        _tree.Tell("change", "sr0");
        _clock.Advance(TimeSpan.FromSeconds(2));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        await timer.WaitForNextTickAsync();
    }
}
