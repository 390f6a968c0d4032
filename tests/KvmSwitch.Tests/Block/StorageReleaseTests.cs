using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Block;

public sealed class StorageReleaseTests : IDisposable
{
    private static readonly DeviceId Stick = DeviceId.Parse("stick");
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly BlockTree _tree = new();
    private readonly FakeTimeProvider _clock = new();
    private readonly List<string> _unmounted = [];
    private readonly FakeBus _udisks;
    private int _errno;

    public StorageReleaseTests()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.AddPartition("sdb", "sdb1");
        _udisks = new(Serve);
    }

    public void Dispose() => _tree.Dispose();

    [Fact]
    public async Task What_is_not_mounted_is_let_go_without_asking_anybody()
    {
        await ReleaseAsync(force: false, () => new FakeBus(_ => throw new InvalidOperationException("asked")));
        await Release(() => new FakeBus(_ => throw new InvalidOperationException("asked")), Unmount).ReleaseAsync(Stick, [], force: false, CancellationToken.None);

        Assert.Empty(_unmounted);
    }

    [Fact]
    public async Task UDisks_unmounts_every_mount_last_one_first_and_never_lazily()
    {
        _tree.Mount("sdb1", "/media/a");
        _tree.Mount("sdb1", "/media/b");

        await ReleaseAsync(force: false);

        Assert.Equal(["/media/b", "/media/a"], _unmounted);
        var call = _udisks.Calls[0];
        Assert.Equal(
            ("org.freedesktop.UDisks2", "/org/freedesktop/UDisks2/block_devices/sdb1", "org.freedesktop.UDisks2.Filesystem", "Unmount"),
            (call.Destination, call.Path, call.Interface, call.Member));
        Assert.Equal("a{sv}", call.Arguments.Single().Signature);
        var option = Assert.IsType<BusValue.Entry>(Assert.Single(((BusValue.Sequence)call.Arguments[0]).Items));
        Assert.Equal(new BusValue.Text("auth.no_user_interaction"), option.Key);
        Assert.True(_udisks.IsDisposed);
    }

    [Fact]
    public async Task Without_UDisks_a_mounted_device_is_refused_with_the_place_and_the_way_out()
    {
        _tree.Mount("sdb1", "/media/me/My Disk");

        await RefusedAsync("stick is mounted at /media/me/My Disk; unmount it, or give it with --force", force: false, NoBus);
        Assert.Empty(_unmounted);
    }

    [Fact]
    public async Task Without_UDisks_it_is_unmounted_by_force()
    {
        _tree.Mount("sdb1", "/media/a");

        await ReleaseAsync(force: true, NoBus);

        Assert.Equal(["/media/a"], _unmounted);
    }

    [Theory]
    [InlineData("org.freedesktop.DBus.Error.ServiceUnknown")]
    [InlineData("org.freedesktop.DBus.Error.Spawn.ServiceNotFound")]
    [InlineData("org.freedesktop.systemd1.UnitMasked")]
    [InlineData("org.freedesktop.DBus.Error.UnknownMethod")]
    [InlineData("org.freedesktop.UDisks2.Error.NotMounted")]
    [InlineData(null)]
    public async Task What_UDisks_does_not_serve_counts_like_no_UDisks(string? error)
    {
        _tree.Mount("sdb1", "/media/a");
        var bus = new FakeBus(_ => throw new MessageBusException(error, "no"));

        await RefusedAsync("stick is mounted at /media/a; unmount it, or give it with --force", force: false, () => bus);
        await ReleaseAsync(force: true, () => bus);
    }

    [Fact]
    public async Task A_file_in_use_is_refused_by_either_way_even_by_force()
    {
        const string Message = "stick is in use: some program works below /media/a; close it and try again";
        _tree.Mount("sdb1", "/media/a");
        _errno = Libc.EBUSY;

        await RefusedAsync(Message, force: true, () => new FakeBus(_ => throw new MessageBusException("org.freedesktop.UDisks2.Error.DeviceBusy", "target is busy")));
        await RefusedAsync(Message, force: true, NoBus);
    }

    [Fact]
    public async Task What_UDisks_says_against_it_is_told()
    {
        _tree.Mount("sdb1", "/media/a");

        var error = await Assert.ThrowsAsync<SwitchException>(() => ReleaseAsync(
            force: true, () => new FakeBus(_ => throw new MessageBusException("org.freedesktop.UDisks2.Error.NotAuthorizedCanObtain", "Not authorized."))));

        Assert.Equal((Failure.Failed, "unmounting /media/a failed: UDisks2 says: Not authorized"), (error.Failure, error.Message));
        Assert.Empty(_unmounted);
    }

    [Fact]
    public async Task A_UDisks_that_hangs_has_a_deadline_and_the_device_stays()
    {
        _tree.Mount("sdb1", "/media/a");
        var silence = new TaskCompletionSource();
        var asked = new TaskCompletionSource();
        var bus = new FakeBus(_ =>
        {
            asked.TrySetResult();
            return silence.Task;
        });
        var releasing = Release(() => bus, Unmount).ReleaseAsync(Stick, Blocks, force: true, CancellationToken.None);
        await asked.Task.WaitAsync(Deadline);

        using var patience = new CancellationTokenSource(Deadline);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        // The wait begins some time after the call.
        while (!releasing.IsCompleted && await timer.WaitForNextTickAsync(patience.Token)) _clock.Advance(StorageRelease.Deadline);

        var error = await Assert.ThrowsAsync<SwitchException>(() => releasing);
        Assert.Equal(
            (Failure.TimedOut, "unmounting /media/a by UDisks2 takes longer than 60 s: it may still be writing; try again when that is done"), (error.Failure, error.Message));
        Assert.Empty(_unmounted);
    }

    [Fact]
    public async Task Swap_is_never_let_go()
    {
        _tree.Swap("sdb1");

        await RefusedAsync("stick holds swap space of the host: switch it off first (swapoff /dev/sdb1)", force: true);
    }

    [Fact]
    public async Task An_encrypted_stick_is_unmounted_and_closed()
    {
        _tree.AddMade("dm-0", "CRYPT-LUKS2-x", "sdb1");
        _tree.Mount("dm-0", "/media/secret");

        await ReleaseAsync(force: false);

        Assert.Equal(["/media/secret"], _unmounted);
        Assert.Equal(["Unmount dm_2d0", "Lock sdb1"], _udisks.Calls.Select(call => $"{call.Member} {call.Path.Split('/')[^1]}"));
    }

    [Fact]
    public async Task What_is_part_of_something_else_is_refused_even_by_force()
    {
        _tree.AddMade("md0", "", "sdb1");

        await RefusedAsync("stick is in use: /dev/md0 is made of sdb1; stop that first", force: true);
    }

    [Fact]
    public async Task Somebody_who_mounts_again_and_again_does_not_keep_us()
    {
        _tree.Mount("sdb1", "/media/a");

        var error = await Assert.ThrowsAsync<SwitchException>(() => ReleaseAsync(force: true, () => new FakeBus(_ => Task.CompletedTask)).WaitAsync(Deadline));

        Assert.Equal("stick is mounted again and again by another program: stop that first", error.Message);
    }

    [Fact]
    public async Task A_stick_that_is_pulled_meanwhile_is_let_go()
    {
        var blocks = Blocks;
        _tree.Remove("sdb1");
        _tree.Remove("sdb");

        await Release(NoBus, Unmount).ReleaseAsync(Stick, blocks, force: false, CancellationToken.None);
    }

    private System.Collections.Immutable.ImmutableArray<BlockDevice> Blocks => new BlockInventory(_tree.Paths).Below(UsbPort.Parse("1-4"));

    private static FakeBus NoBus() => new(_ => throw new MessageBusException(null, "no bus"));

    private StorageRelease Release(Func<IMessageBus> bus, Func<Mount, int> unmount) => new(_tree.Paths, bus, _clock, unmount);

    private Task ReleaseAsync(bool force, Func<IMessageBus>? bus = null) =>
        Release(bus ?? (() => _udisks), Unmount).ReleaseAsync(Stick, Blocks, force, CancellationToken.None);

    private async Task RefusedAsync(string message, bool force, Func<IMessageBus>? bus = null)
    {
        var error = await Assert.ThrowsAsync<SwitchException>(() => ReleaseAsync(force, bus).WaitAsync(Deadline));

        Assert.Equal((Failure.Refused, message), (error.Failure, error.Message));
    }

    private int Unmount(Mount mount)
    {
        if (_errno == 0) Forget(mount.Point);
        return _errno;
    }

    private void Forget(string point)
    {
        _tree.Unmount(point);
        _unmounted.Add(point);
    }

    private Task Serve(MethodCall call)
    {
        var name = call.Path.Split('/')[^1].Replace("_2d", "-", StringComparison.Ordinal);
        if (call.Member == "Lock") _tree.Remove("dm-0");
        else Forget(new BlockInventory(_tree.Paths).UseOf(new BlockInventory(_tree.Paths).Named(name)).Mounts[0].Mount.Point);
        return Task.CompletedTask;
    }
}
