using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Linux;

public sealed class UsbHostSideTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly Device Keyboard = Named("keyboard", new UsbMatch.ByPort(UsbPort.Parse("1-4")));
    private static readonly Recipient Guest = new(MachineId.Parse("win"), 1000, 64055, 64055, 4L << 30);
    private readonly SysfsTree _tree = new();

    private UsbHostSide Side => new(_tree.Paths, _tree.Events, new NoStorage(), TimeProvider.System);

    public void Dispose() => _tree.Dispose();

    [Fact]
    public async Task Seen_as_absent_served_and_unserved()
    {
        Assert.Equal(HostSight.Absent, await LookAsync());
        _tree.Add("1-4", "046d:c31c", classes: [SysfsTree.Hid, SysfsTree.Hid]);
        Assert.Equal(HostSight.Served, await LookAsync());
        _tree.Bind("1-4", 1, "usbfs");
        Assert.Equal(HostSight.Unserved, await LookAsync());
        _tree.Abandon("1-4");
        Assert.Equal(HostSight.Unserved, await LookAsync());
    }

    [Fact]
    public async Task A_device_that_no_driver_of_the_kernel_is_for_is_served_when_nobody_holds_it()
    {
        _tree.Add("1-4", "1050:0407", classes: [SysfsTree.VendorSpecific]);
        Assert.Equal(HostSight.Served, await LookAsync());
        _tree.Claim("1-4");
        Assert.Equal(HostSight.Unserved, await LookAsync());
    }

    [Fact]
    public async Task Of_several_that_fit_the_worst_is_seen_so_that_one_in_a_guest_still_comes_home()
    {
        var device = Named("keyboard", new UsbMatch.ById(VidPid.Parse("046d:c31c")));
        _tree.Add("1-1", "046d:c31c");
        _tree.Add("1-2", "046d:c31c");
        Assert.Equal(HostSight.Served, (await Side.ObserveAsync(device, CancellationToken.None)).Sight);
        _tree.Claim("1-2");
        _tree.Abandon("1-2");
        Assert.Equal(HostSight.Unserved, (await Side.ObserveAsync(device, CancellationToken.None)).Sight);

        await Side.RestoreAsync(device, CancellationToken.None).WaitAsync(Deadline);

        Assert.Equal("usbhid", _tree.DriverOf("1-2", 0));
    }

    [Fact]
    public async Task What_is_lent_as_a_part_of_another_device_is_left_alone_until_that_is_home()
    {
        var knot = Named("knot", new UsbMatch.Below(UsbPort.Parse("1-4")));
        var board = Named("board", new UsbMatch.ByPort(UsbPort.Parse("1-4.1")));
        _tree.AddHub("1-4");
        _tree.Add("1-4.1", "046d:c31c");
        _tree.Add("1-4.2", "046d:c408");
        var side = Side;
        using (await side.PrepareAsync(knot, Guest, force: false, CancellationToken.None))
        {
            _tree.Claim("1-4.1");
            _tree.Claim("1-4.2");
        }

        // A reset in the guest: for a moment nobody has it.
        _tree.Abandon("1-4.1");
        Assert.Equal(HostSight.Absent, (await side.ObserveAsync(board, CancellationToken.None)).Sight);
        await side.RestoreAsync(board, CancellationToken.None).WaitAsync(Deadline);
        Assert.Empty(_tree.Probed);
        var refusal = await Assert.ThrowsAsync<SwitchException>(() => side.PrepareAsync(board, Guest, force: false, CancellationToken.None));
        Assert.Equal((Failure.Refused, "board is lent with 'knot', which it is a part of: take that first"), (refusal.Failure, refusal.Message));

        _tree.Abandon("1-4.2");
        await side.RestoreAsync(knot, CancellationToken.None).WaitAsync(Deadline);
        Assert.Equal(HostSight.Served, (await side.ObserveAsync(board, CancellationToken.None)).Sight);
        using (await side.PrepareAsync(board, Guest, force: false, CancellationToken.None)) _tree.Claim("1-4.1");
        Assert.Equal(HostSight.Served, (await side.ObserveAsync(knot, CancellationToken.None)).Sight);
    }

    [Fact]
    public async Task Prepared_with_its_open_node_and_its_identity()
    {
        _tree.Add("1-4", "046d:c31c", "K1");

        using var attachment = await Side.PrepareAsync(Keyboard, Guest, force: false, CancellationToken.None);

        Assert.Equal(("usb-host", new GuestIdentity(VidPid.Parse("046d:c31c"), "K1")), (attachment.Parts[0].Driver, attachment.Parts[0].Identity));
        Assert.Empty(attachment.Parts[0].Properties);
        var link = new FileInfo($"/proc/self/fd/{attachment.Parts[0].Descriptor!.DangerousGetHandle()}").LinkTarget;
        Assert.Equal(Path.Combine(_tree.Paths.Dev, "bus/usb/001/002"), link);
        var flags = (await File.ReadAllLinesAsync($"/proc/self/fdinfo/{attachment.Parts[0].Descriptor!.DangerousGetHandle()}")).Single(l => l.StartsWith("flags:", StringComparison.Ordinal));
        var value = Convert.ToInt32(flags.Split('\t')[1], 8);
        Assert.Equal(Libc.O_RDWR | Libc.O_CLOEXEC, value & (3 | Libc.O_CLOEXEC));
    }

    [Fact]
    public async Task A_device_without_serial_is_known_to_the_guest_by_its_id_alone()
    {
        _tree.Add("1-4", "046d:c31c");

        using var attachment = await Side.PrepareAsync(Keyboard, Guest, force: false, CancellationToken.None);

        Assert.Null(attachment.Parts[0].Identity.Serial);
    }

    [Fact]
    public async Task The_node_is_the_new_one_when_the_device_moves_while_it_is_opened()
    {
        _tree.Add("1-4", "046d:c31c");
        _tree.SetAttribute("1-4", "devnum", "99");

        var preparing = Side.PrepareAsync(Keyboard, Guest, force: false, CancellationToken.None);
        _tree.SetAttribute("1-4", "devnum", "2");

        using var attachment = await preparing.WaitAsync(Deadline);
        Assert.False(attachment.Parts[0].Descriptor!.IsInvalid);
    }

    [Fact]
    public async Task A_device_whose_node_never_comes_fails_with_a_sentence()
    {
        _tree.Add("1-4", "046d:c31c");
        _tree.SetAttribute("1-4", "devnum", "99");

        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.PrepareAsync(Keyboard, Guest, force: false, CancellationToken.None).WaitAsync(Deadline));

        Assert.Equal("keyboard keeps reconnecting at port 1-4 (046d:c31c): check its cable", error.Message);
    }

    [Fact]
    public async Task Restored_from_a_killed_program_by_asking_for_drivers()
    {
        _tree.Add("1-4", "046d:c31c", classes: [SysfsTree.Hid, SysfsTree.Hid]);
        _tree.Claim("1-4");
        _tree.Abandon("1-4");

        await Side.RestoreAsync(Keyboard, CancellationToken.None).WaitAsync(Deadline);

        Assert.Equal(["1-4:1.0", "1-4:1.1"], _tree.Probed.Distinct());
        Assert.Equal(("usbhid", "usbhid"), (_tree.DriverOf("1-4", 0), _tree.DriverOf("1-4", 1)));
    }

    [Fact]
    public async Task Restoring_waits_while_a_program_still_holds_it()
    {
        _tree.Add("1-4", "046d:c31c");
        _tree.Claim("1-4");

        var restoring = Side.RestoreAsync(Keyboard, CancellationToken.None);
        await Assert.ThrowsAsync<TimeoutException>(() => restoring.WaitAsync(TimeSpan.FromMilliseconds(300)));
        _tree.Release("1-4");

        await restoring.WaitAsync(Deadline);
        Assert.Empty(_tree.Probed);
    }

    [Fact]
    public async Task Restoring_ends_when_the_device_is_unplugged_meanwhile()
    {
        _tree.Add("1-4", "046d:c31c");
        _tree.Claim("1-4");

        var restoring = Side.RestoreAsync(Keyboard, CancellationToken.None);
        _tree.Unplug("1-4");

        await restoring.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Restoring_ends_although_one_interface_has_no_driver_for_good()
    {
        _tree.Drivers.TryRemove(SysfsTree.Audio, out _);
        _tree.Add("1-4", "046d:c31c", classes: [SysfsTree.Hid, SysfsTree.Audio]);

        await Side.RestoreAsync(Keyboard, CancellationToken.None).WaitAsync(Deadline);

        Assert.Equal(HostSight.Served, await LookAsync());
    }

    [Fact]
    public async Task Restoring_what_gets_no_driver_lasts_until_the_caller_gives_up()
    {
        _tree.Drivers.Clear();
        _tree.Add("1-4", "046d:c31c");
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(500));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Side.RestoreAsync(Keyboard, patience.Token).WaitAsync(Deadline));

        Assert.NotEmpty(_tree.Probed);
    }

    [Fact]
    public async Task Restoring_needs_no_events()
    {
        _tree.Add("1-4", "046d:c31c");
        _tree.Claim("1-4");
        var side = new UsbHostSide(_tree.Paths, new UeventHub(), new NoStorage(), TimeProvider.System);

        var restoring = side.RestoreAsync(Keyboard, CancellationToken.None);
        _tree.Abandon("1-4");

        await restoring.WaitAsync(Deadline);
        Assert.Equal("usbhid", _tree.DriverOf("1-4", 0));
    }

    private static Device Named(string name, UsbMatch match) => new(DeviceId.Parse(name), DeviceClass.Hid, new DeviceRoute.Usb(match), new(0, 1));

    private async Task<HostSight> LookAsync() => (await Side.ObserveAsync(Keyboard, CancellationToken.None)).Sight;

    /// <summary>The host uses no storage of these devices.</summary>
    private sealed class NoStorage : IStorageRelease
    {
        public Task ReleaseAsync(DeviceId name, ImmutableArray<BlockDevice> blocks, bool force, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
