using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Block;

public sealed class OpticalHostSideTests : IDisposable
{
    private const string Link = "ata-HL-DT-ST_BD-RE_1";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly Device Bluray = Named("bluray", Link);
    private static readonly Recipient Qemu = new(MachineId.Parse("windows"), 1, 2, 3, 4);
    private readonly BlockTree _tree = new();
    private readonly FakeDrives _drives = new();
    private readonly FakeStorage _storage = new();

    public OpticalHostSideTests() => _tree.AddDrive("sr0", Link);

    private OpticalHostSide Side => new(_tree.Paths, _tree.Events, _storage, TimeProvider.System, _drives);

    public void Dispose() => _tree.Dispose();

    [Fact]
    public async Task Seen_as_served_while_the_drive_is_there()
    {
        Assert.Equal(HostSight.Served, (await Side.ObserveAsync(Bluray, CancellationToken.None)).Sight);
        _tree.Remove("sr0");
        Assert.Equal(HostSight.Absent, (await Side.ObserveAsync(Bluray, CancellationToken.None)).Sight);
    }

    [Fact]
    public async Task Prepared_unmounted_with_a_claim_for_writing_and_a_way_for_commands()
    {
        using var attachment = await Side.PrepareAsync(Bluray, Qemu, force: true, CancellationToken.None);

        var part = Assert.Single(attachment.Parts);
        Assert.Equal(("scsi-generic", false, false), (part.Driver, part.Descriptor!.IsInvalid, part.Claim!.IsInvalid));
        Assert.Equal(
            ("host_device", "host_device", "false"), (part.Properties["node.driver"], part.Properties["claim.driver"], part.Properties["claim.read-only"]));
        Assert.True(_drives["sr0"] is { IsClaimed: true, WasForWriting: true });
        Assert.Equal(("bluray", "sr0", true), Assert.Single(_storage.Released));
    }

    [Fact]
    public async Task Where_qemu_looks_its_set_of_descriptors_is_a_character_device_also_the_second_time()
    {
        for (var time = 0; time < 2; time++)
        {
            using var attachment = await Side.PrepareAsync(Bluray, Qemu, force: false, CancellationToken.None);

            Assert.Equal(21000, attachment.Parts[0].FdSet);
            Assert.Equal("../null", new FileInfo(Path.Combine(_tree.Paths.Proc, "1/root/dev/fdset/21000")).LinkTarget);
            _drives["sr0"].IsClaimed = false;
        }
    }

    [Fact]
    public async Task Without_the_driver_sg_it_is_refused_and_not_claimed()
    {
        _tree.Remove("sr0");
        _tree.AddDrive("sr0", Link, generic: null);

        await RefusedAsync("bluray takes no SCSI commands: the kernel's driver sg isn't loaded; run 'modprobe sg' and try again");
        Assert.False(_drives["sr0"].IsClaimed);
    }

    [Fact]
    public async Task No_permission_for_the_node_of_sg_is_told_and_the_claim_given_up()
    {
        _drives.GenericTrouble = Libc.EACCES;

        await RefusedAsync($"bluray may not be opened: no permission for {_tree.Paths.Dev}/sg0; run the daemon as root or give it access by a udev rule");
        Assert.True(_drives["sr0"].LastClaim!.IsClosed);
    }

    [Fact]
    public async Task A_qemu_that_is_gone_is_a_failure_and_nothing_is_claimed()
    {
        await File.WriteAllTextAsync(Path.Combine(_tree.Paths.Proc, "1"), "");

        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.PrepareAsync(Bluray, Qemu, force: false, CancellationToken.None));

        Assert.Equal(Failure.Failed, error.Failure);
        Assert.StartsWith("no optical drive can be shown to windows: ", error.Message, StringComparison.Ordinal);
        Assert.False(_drives["sr0"].IsClaimed);
    }

    [Fact]
    public async Task A_drive_that_only_reads_is_claimed_for_reading_because_qemu_would_refuse()
    {
        await File.WriteAllTextAsync(Path.Combine(_tree.Paths.Sys, "class/block/sr0/ro"), "1\n");

        using var attachment = await Side.PrepareAsync(Bluray, Qemu, force: false, CancellationToken.None);

        Assert.Equal("true", attachment.Parts[0].Properties["claim.read-only"]);
        Assert.False(_drives["sr0"].WasForWriting);
    }

    [Fact]
    public async Task The_number_is_looked_up_anew_because_it_shifts()
    {
        _tree.Remove("sr0");
        _tree.AddDrive("sr3", Link);

        using var attachment = await Side.PrepareAsync(Named("bluray", "/dev/disk/by-id/" + Link), Qemu, force: false, CancellationToken.None);

        Assert.True(_drives["sr3"].IsClaimed);
    }

    [Theory]
    [InlineData(1, "bluray has no disc in it: put one in and try again")]
    [InlineData(2, "the tray of bluray is open: put a disc in, close it and try again")]
    public async Task Without_a_disc_it_is_refused_and_nothing_is_unmounted(int state, string message)
    {
        _drives["sr0"].State = (DiscState)state;

        await RefusedAsync(message);
        Assert.Empty(_storage.Released);
    }

    [Fact]
    public async Task A_disc_that_loads_is_waited_for()
    {
        _drives["sr0"].State = DiscState.NotReady;
        var preparing = Side.PrepareAsync(Bluray, Qemu, force: false, CancellationToken.None);
        await Assert.ThrowsAsync<TimeoutException>(() => preparing.WaitAsync(TimeSpan.FromMilliseconds(300)));

        _drives["sr0"].State = DiscState.Present;

        using var attachment = await preparing.WaitAsync(Deadline);
    }

    [Fact]
    public async Task An_absent_drive_is_refused_by_its_name()
    {
        _tree.Remove("sr0");

        await RefusedAsync($"bluray isn't there: no drive {Link} in /dev/disk/by-id");
    }

    [Fact]
    public async Task One_drive_under_two_names_is_given_once()
    {
        _tree.Link("wwn-0x5001", "sr0");
        using var first = await Side.PrepareAsync(Bluray, Qemu, force: false, CancellationToken.None);

        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.PrepareAsync(Named("other", "wwn-0x5001"), Qemu, force: true, CancellationToken.None));

        Assert.Equal(
            (Failure.Refused, $"other is in use: a program or a guest has claimed {_tree.Paths.Dev}/sr0; close that, or take it back, and try again"),
            (error.Failure, error.Message));
    }

    [Theory]
    [InlineData("../sr0")]
    [InlineData("/dev/sr0")]
    [InlineData("..")]
    [InlineData("")]
    public async Task A_name_that_leaves_the_directory_of_links_is_no_drive(string link)
    {
        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.ObserveAsync(Named("bluray", link), CancellationToken.None));

        Assert.Equal($"bluray: '{link}' names no drive: write a name that is in /dev/disk/by-id", error.Message);
    }

    [Fact]
    public async Task A_disk_is_no_drive()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.Link("usb-stick", "sdb");

        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.PrepareAsync(Named("bluray", "usb-stick"), Qemu, force: true, CancellationToken.None));

        Assert.Equal("bluray: usb-stick is sdb, which is no optical drive", error.Message);
    }

    [Fact]
    public async Task No_permission_is_told_with_the_node()
    {
        _drives["sr0"].Trouble = Libc.EACCES;

        await RefusedAsync($"bluray may not be opened: no permission for {_tree.Paths.Dev}/sr0; run the daemon as root or give it access by a udev rule");
    }

    [Fact]
    public async Task Restored_once_nobody_else_has_it_and_with_its_tray_unlocked()
    {
        _drives["sr0"].IsClaimed = _drives["sr0"].IsLocked = true;
        var restoring = Side.RestoreAsync(Bluray, CancellationToken.None);
        await Assert.ThrowsAsync<TimeoutException>(() => restoring.WaitAsync(TimeSpan.FromMilliseconds(300)));

        _drives["sr0"].IsClaimed = false;

        await restoring.WaitAsync(Deadline);
        Assert.False(_drives["sr0"].IsLocked);
        Assert.Equal(_drives["sr0"].Opened, _drives["sr0"].Closed);
    }

    [Fact]
    public async Task Restored_also_when_a_desktop_has_already_mounted_it()
    {
        _drives["sr0"].IsClaimed = true;
        _tree.Mount("sr0", "/media/me/DISC", "udf");

        await Side.RestoreAsync(Bluray, CancellationToken.None).WaitAsync(Deadline);
    }

    [Fact]
    public async Task Restored_when_it_is_unplugged_meanwhile()
    {
        _drives["sr0"].IsClaimed = true;
        var restoring = Side.RestoreAsync(Bluray, CancellationToken.None);

        _tree.Remove("sr0");

        await restoring.WaitAsync(Deadline);
    }

    [Theory]
    [InlineData(Libc.EOPNOTSUPP)]
    [InlineData(Libc.EBUSY, Libc.EBUSY)]
    public async Task A_tray_that_has_no_lock_or_unlocks_late_is_no_hindrance(params int[] errors)
    {
        foreach (var errno in errors) _drives["sr0"].UnlockErrors.Enqueue(errno);

        await Side.RestoreAsync(Bluray, CancellationToken.None).WaitAsync(Deadline);
    }

    [Fact]
    public async Task A_tray_that_stays_locked_is_told()
    {
        foreach (var errno in Enumerable.Repeat(5, 10)) _drives["sr0"].UnlockErrors.Enqueue(errno);

        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.RestoreAsync(Bluray, CancellationToken.None).WaitAsync(Deadline));

        Assert.Equal("bluray is home but its tray may be locked: no; eject the disc with the command eject", error.Message);
    }

    private static Device Named(string name, string link) => new(DeviceId.Parse(name), DeviceClass.Storage, new DeviceRoute.Optical(link, Auto: null), default);

    private async Task RefusedAsync(string message)
    {
        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.PrepareAsync(Bluray, Qemu, force: false, CancellationToken.None).WaitAsync(Deadline));

        Assert.Equal((Failure.Refused, message), (error.Failure, error.Message));
    }

    private sealed class FakeStorage : IStorageRelease
    {
        public List<(string Name, string Blocks, bool Force)> Released { get; } = [];

        public Task ReleaseAsync(DeviceId name, ImmutableArray<BlockDevice> blocks, bool force, CancellationToken cancellationToken)
        {
            Released.Add((name.Value, string.Join(' ', blocks.Select(block => block.Name)), force));
            return Task.CompletedTask;
        }
    }
}
