using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Persistence;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

public sealed class StateFileTests : IDisposable
{
    private static readonly DeviceId Keyboard = DeviceId.Parse("keyboard");
    private readonly Folder _folder = new();

    private string FilePath => _folder["state.json"];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Without_a_file_every_device_is_home() => Assert.Empty(Open().Load());

    [Fact]
    public async Task What_was_saved_is_read_again_with_limit_and_pending()
    {
        var until = new DateTimeOffset(2026, 5, 4, 3, 2, 1, TimeSpan.Zero);
        var state = ImmutableDictionary<DeviceId, Desired>.Empty
            .Add(Keyboard, new(MachineId.Parse("win")) { Pending = true, Limit = new(TimeSpan.FromSeconds(90.5), until) })
            .Add(DeviceId.Parse("mouse"), new(MachineId.Parse("mac")))
            .Add(DeviceId.Parse("audio"), Desired.Home);

        await Open().SaveAsync(state, Stop);

        Assert.Equal(state.OrderBy(pair => pair.Key.Value), Open().Load().OrderBy(pair => pair.Key.Value));
    }

    [Fact]
    public async Task Only_its_owner_may_read_it()
    {
        await Open().SaveAsync(ImmutableDictionary<DeviceId, Desired>.Empty, Stop);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FilePath));
    }

    [Fact]
    public void Devices_that_nobody_knows_any_longer_are_read_like_others()
    {
        File.WriteAllText(FilePath, """{"devices":{"gone":{"owner":"win"}},"version":1,"later":[1]}""");
        Assert.Equal("gone", Assert.Single(Open().Load()).Key.Value);
    }

    [Fact]
    public void A_limit_is_never_longer_than_a_day()
    {
        File.WriteAllText(FilePath, """{"devices":{"keyboard":{"owner":"win","limit_seconds":1e300,"until":"2999-01-01T00:00:00Z"}}}""");
        var limit = Open().Load()[Keyboard].Limit!;
        Assert.Equal(TimeSpan.FromDays(1), limit.Remaining(DateTimeOffset.UtcNow));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"devices":null}""")]
    [InlineData("""{"devices":[]}""")]
    [InlineData("""{"devices":{"keyboard":null}}""")]
    [InlineData("""{"devices":{"keyboard":{}}}""")]
    [InlineData("""{"devices":{"keyboard":{"owner":7}}}""")]
    [InlineData("""{"devices":{"keyboard":{"owner":"../etc"}}}""")]
    [InlineData("""{"devices":{"Key Board":{"owner":"win"}}}""")]
    [InlineData("""{"devices":{"keyboard":{"owner":"win","until":"soon"}}}""")]
    [InlineData("""{"devices":{"keyboard":{"owner":"win"}},"version":2}""")]
    [InlineData("\0\0\0\0\0\0\0\0")]
    public void What_cannot_be_read_is_said_with_the_way_out(string content)
    {
        File.WriteAllText(FilePath, content);
        Refused();
    }

    [Fact]
    public void A_file_far_too_large_is_not_even_read()
    {
        using (var file = File.Create(FilePath)) file.SetLength(1L << 40);
        Refused();
    }

    [Fact]
    public void Deep_nesting_is_refused()
    {
        File.WriteAllText(FilePath, """{"devices":""" + new string('[', 100_000));
        Refused();
    }

    [Fact]
    public void A_directory_in_its_place_is_no_reason_to_forget_who_has_what()
    {
        Directory.CreateDirectory(FilePath);
        var failure = Record.Exception(() => Open().Load());
        Assert.True(failure is null or SwitchException, $"{failure}");
    }

    [Fact]
    public async Task A_save_that_fails_leaves_the_old_state()
    {
        await Open().SaveAsync(ImmutableDictionary<DeviceId, Desired>.Empty.Add(Keyboard, new(MachineId.Parse("win"))), Stop);
        var elsewhere = new StateFile(_folder["missing/state.json"], NullLogger<StateFile>.Instance);

        await Assert.ThrowsAnyAsync<IOException>(() => elsewhere.SaveAsync(ImmutableDictionary<DeviceId, Desired>.Empty, Stop));

        Assert.Equal("win", Open().Load()[Keyboard].Owner.ToString());
    }

    private StateFile Open() => new(FilePath, NullLogger<StateFile>.Instance);

    private void Refused()
    {
        var failure = Assert.Throws<SwitchException>(() => Open().Load());
        Assert.Contains(FilePath, failure.Message, StringComparison.Ordinal);
        Assert.Contains("move the file away", failure.Message, StringComparison.Ordinal);
    }
}
