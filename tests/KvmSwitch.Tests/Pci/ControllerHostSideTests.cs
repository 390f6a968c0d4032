using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;
using static KvmSwitch.Tests.Pci.ControllerRig;

namespace KvmSwitch.Tests.Pci;

public sealed class ControllerHostSideTests : IDisposable
{
    private readonly ControllerRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Lent_with_its_group_opened_to_QEMU_and_its_driver_remembered()
    {
        using var attachment = await _rig.PrepareAsync(Ports);

        var part = Assert.Single(attachment.Parts);
        Assert.Equal((0, "vfio-pci", new GuestIdentity(VidPid.Parse("8086:1e2d"), null)), (part.Slot, part.Driver, part.Identity));
        Assert.Null(part.Descriptor);
        Assert.Equal([KeyValuePair.Create("host", Ehci)], part.Properties);
        Assert.Equal(("vfio-pci", "ehci-pci"), (_rig.Pci.DriverOf(Ehci), _rig.Memory.Find(PciAddress.Parse(Ehci))));
        Assert.Equal([(4711, 5L << 30)], _rig.Limits);
        Assert.Equal(($"{QemuUser}", $"{QemuUser}"), await OwnerAsync("5"));
        Assert.Equal(HostSight.Unserved, await _rig.LookAsync(Ports));
    }

    [Fact]
    public async Task QEMU_is_given_the_node_again_after_a_rule_of_udev_gave_it_to_others()
    {
        using var attachment = await _rig.PrepareAsync(Ports);
        Assert.Equal(0, Libc.ChangeOwner(Path.Combine(_rig.Tree.Paths.Dev, "vfio/5"), Libc.GetEffectiveUserId(), 0));

        attachment.Admit!();

        Assert.Equal(($"{QemuUser}", $"{QemuUser}"), await OwnerAsync("5"));
    }

    [Fact]
    public async Task Home_again_with_its_driver_its_devices_and_no_override()
    {
        using (await _rig.PrepareAsync(Ports)) await _rig.RestoreAsync(Ports);

        Assert.Equal(("ehci-pci", ""), (_rig.Pci.DriverOf(Ehci), _rig.Pci.OverrideOf(Ehci)));
        Assert.Equal("usbhid", _rig.Tree.DriverOf("1-1", 0));
        Assert.Null(_rig.Memory.Find(PciAddress.Parse(Ehci)));
        Assert.Equal(HostSight.Served, await _rig.LookAsync(Ports));
    }

    [Fact]
    public async Task A_device_that_was_unplugged_meanwhile_is_not_waited_for()
    {
        using (await _rig.PrepareAsync(Ports))
        {
            _rig.Restart();
            await _rig.RestoreAsync(Ports);
        }

        Assert.Equal(HostSight.Served, await _rig.LookAsync(Ports));
    }

    [Fact]
    public async Task All_functions_of_a_group_move_together_and_bridges_stay()
    {
        var card = Named("0000:05:00.0", "0000:05:00.1", "0000:05:00.2");

        using var attachment = await _rig.PrepareAsync(card);

        Assert.Equal(["0000:05:00.0", "0000:05:00.1", "0000:05:00.2"], attachment.Parts.OrderBy(p => p.Slot).Select(p => p.Properties["host"]));
        Assert.Equal("pcieport", _rig.Pci.DriverOf("0000:04:00.0"));
        Assert.DoesNotContain(_rig.Pci.Faults.Writes, write => write.Function is not ("0000:05:00.0" or "0000:05:00.1" or "0000:05:00.2"));
    }

    [Fact]
    public async Task What_is_refused_is_not_touched()
    {
        var message = await RefusedAsync(() => _rig.PrepareAsync(Named("0000:05:00.0")), Failure.Refused);

        Assert.StartsWith("ports can't be given alone", message, StringComparison.Ordinal);
        Assert.Empty(_rig.Pci.Faults.Writes);
        Assert.Null(_rig.Memory.Find(PciAddress.Parse("0000:05:00.0")));
    }

    [Fact]
    public async Task A_controller_with_a_mounted_disk_goes_by_force_alone()
    {
        _rig.Pci.AddBelow(Ehci, "block", "usb1/1-1/1-1:1.0/host9/target9:0:0/9:0:0:0/block/sdb", ("dev", "8:16"));
        Directory.CreateDirectory(Path.Combine(_rig.Tree.Paths.Proc, "self"));
        await File.WriteAllTextAsync(Path.Combine(_rig.Tree.Paths.Proc, "self/mountinfo"), "22 1 8:16 / /media/stick rw - vfat /dev/sdb rw\n");

        Assert.Equal(
            "ports can't be given: 0000:00:1a.0 carries sdb, mounted at /media/stick; unmount it first, or insist with --force",
            await RefusedAsync(() => _rig.PrepareAsync(Ports), Failure.Refused));
        using var attachment = await _rig.PrepareAsync(Ports, force: true);
    }

    [Fact]
    public async Task What_the_boot_bound_to_vfio_is_left_alone_until_it_is_given_and_then_comes_home_to_the_usual_driver()
    {
        _rig.Pci.VfioIds.Add(VidPid.Parse("8086:1e2d"));
        _rig.Pci.Bind(Ehci, PciTree.Vfio);

        Assert.Equal(HostSight.Served, await _rig.LookAsync(Ports));
        await _rig.RestoreAsync(Ports);
        Assert.Empty(_rig.Pci.Faults.Writes);

        using (await _rig.PrepareAsync(Ports)) await _rig.RestoreAsync(Ports);
        Assert.Equal(("ehci-pci", ""), (_rig.Pci.DriverOf(Ehci), _rig.Pci.OverrideOf(Ehci)));
        Assert.Equal(HostSight.Served, await _rig.LookAsync(Ports));
    }

    [Fact]
    public async Task After_QEMU_died_it_is_brought_home_by_the_next_daemon_as_well()
    {
        using (await _rig.PrepareAsync(Ports)) _rig.Restart();

        Assert.Equal(HostSight.Unserved, await _rig.LookAsync(Ports));
        await _rig.RestoreAsync(Ports);

        Assert.Equal(("ehci-pci", ""), (_rig.Pci.DriverOf(Ehci), _rig.Pci.OverrideOf(Ehci)));
    }

    [Fact]
    public async Task The_driver_that_was_remembered_first_stays_remembered()
    {
        using (await _rig.PrepareAsync(Ports)) _rig.Restart();
        using (await _rig.PrepareAsync(Ports)) Assert.Equal("ehci-pci", _rig.Memory.Find(PciAddress.Parse(Ehci)));
    }

    [Fact]
    public async Task Wresting_makes_QEMU_let_go_and_the_way_home_is_as_always()
    {
        using var attachment = await _rig.PrepareAsync(Ports);
        _rig.Pci.Held[Ehci] = 0;

        Assert.True(await _rig.Side.WrestAsync(Ports, CancellationToken.None).WaitAsync(Deadline));

        Assert.Equal([Ehci], _rig.Pci.LetGo);
        Assert.Null(_rig.Pci.DriverOf(Ehci));
        Assert.Equal(HostSight.Unserved, await _rig.LookAsync(Ports));
        await _rig.RestoreAsync(Ports);
        Assert.Equal("ehci-pci", _rig.Pci.DriverOf(Ehci));
    }

    [Fact]
    public async Task Wresting_what_is_not_lent_touches_nothing()
    {
        Assert.True(await _rig.Side.WrestAsync(Ports, CancellationToken.None).WaitAsync(Deadline));

        Assert.Empty(_rig.Pci.Faults.Writes);
    }

    [Fact]
    public async Task Unplugged_is_absent_and_home()
    {
        using var attachment = await _rig.PrepareAsync(Ports);
        _rig.Pci.Remove(Ehci);

        Assert.Equal(HostSight.Absent, await _rig.LookAsync(Ports));
        await _rig.RestoreAsync(Ports);
        Assert.Null(_rig.Memory.Find(PciAddress.Parse(Ehci)));
    }

    [Fact]
    public async Task A_function_that_no_driver_is_for_is_asked_for_once_and_is_home_then()
    {
        _rig.Pci.Add("0000:02:00.1", "1172:4c15", 0x048000, 14);
        var board = Named("0000:02:00.1");

        Assert.Equal(HostSight.Unserved, await _rig.LookAsync(board));
        await _rig.RestoreAsync(board);
        Assert.Equal(HostSight.Served, await _rig.LookAsync(board));
        using (await _rig.PrepareAsync(board)) await _rig.RestoreAsync(board);
        Assert.Equal(HostSight.Served, await _rig.LookAsync(board));
    }

    [Fact]
    public async Task A_driver_that_does_not_take_it_back_is_named_and_asked_again_the_next_time()
    {
        using var attachment = await _rig.PrepareAsync(Ports);
        _rig.Pci.Unload("ehci-pci");

        Assert.Equal(
            "ports: 0000:00:1a.0: its driver ehci-pci doesn't take it back (No such device); the kernel's log ('dmesg') tells why",
            await RefusedAsync(() => _rig.RestoreAsync(Ports), Failure.Failed));
        Assert.Equal(HostSight.Unserved, await _rig.LookAsync(Ports));

        _rig.Pci.Load("ehci-pci");
        await _rig.RestoreAsync(Ports);
        Assert.Equal(HostSight.Served, await _rig.LookAsync(Ports));
    }

    [Fact]
    public async Task Without_permission_the_sentence_says_so()
    {
        _rig.Pci.Faults.Choose = _ => PciFault.Denied;

        var path = Path.Combine(_rig.Tree.Paths.Sys, "bus/pci/devices", Ehci, "driver_override");
        Assert.Equal($"no permission to write {path}; run the daemon as root", await RefusedAsync(() => _rig.PrepareAsync(Ports), Failure.Failed));
        Assert.Equal("ehci-pci", _rig.Pci.DriverOf(Ehci));
    }

    [Fact]
    public async Task When_vfio_does_not_take_it_it_goes_home()
    {
        _rig.Pci.Faults.Choose = write => write.File == "drivers_probe" ? PciFault.Refused : PciFault.None;

        Assert.Equal(
            "ports: 0000:00:1a.0: vfio-pci doesn't take it (Invalid argument); the kernel's log ('dmesg') tells why",
            await RefusedAsync(() => _rig.PrepareAsync(Ports), Failure.Failed));

        _rig.Pci.Faults.Choose = _ => PciFault.None;
        await _rig.RestoreAsync(Ports);
        Assert.Equal(("ehci-pci", ""), (_rig.Pci.DriverOf(Ehci), _rig.Pci.OverrideOf(Ehci)));
    }

    [Fact]
    public async Task One_that_only_vfio_may_have_stays_to_be_mended_though_its_driver_never_let_go()
    {
        _rig.Pci.Faults.Choose = write => write.File == "unbind" ? PciFault.Refused : PciFault.None;
        await RefusedAsync(() => _rig.PrepareAsync(Ports), Failure.Failed);
        _rig.Pci.Faults.Choose = write => write.File == "driver_override" ? PciFault.Refused : PciFault.None;

        Assert.Equal(
            "ports: 0000:00:1a.0: the kernel doesn't let every driver have it (Invalid argument); the kernel's log ('dmesg') tells why",
            await RefusedAsync(() => _rig.RestoreAsync(Ports), Failure.Failed));
        Assert.Equal(HostSight.Unserved, await _rig.LookAsync(Ports));

        _rig.Pci.Faults.Choose = _ => PciFault.None;
        await _rig.RestoreAsync(Ports);
        Assert.Equal(("ehci-pci", ""), (_rig.Pci.DriverOf(Ehci), _rig.Pci.OverrideOf(Ehci)));
        Assert.Equal(HostSight.Served, await _rig.LookAsync(Ports));
    }

    [Fact]
    public async Task The_first_of_two_being_stuck_does_not_keep_the_second_from_coming_home()
    {
        var card = Named("0000:01:00.0", "0000:01:00.1");
        using var attachment = await _rig.PrepareAsync(card);
        _rig.Pci.Faults.Choose = write => write is { Function: "0000:01:00.0", File: "unbind" } ? PciFault.Hangs : PciFault.None;
        using var patience = new CancellationTokenSource();

        var restoring = _rig.Side.RestoreAsync(card, patience.Token);
        Assert.True(await Eventually(() => _rig.Pci.DriverOf("0000:01:00.1") == "snd_hda_intel"));
        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => restoring.WaitAsync(Deadline));
    }

    private static async Task<bool> Eventually(Func<bool> look)
    {
        using var patience = new CancellationTokenSource(Deadline);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!look()) await timer.WaitForNextTickAsync(patience.Token);
        return true;
    }

    private async Task<(string User, string Group)> OwnerAsync(string group)
    {
        using var stat = new System.Diagnostics.Process();
        stat.StartInfo = new("stat", ["-c", "%u %g", Path.Combine(_rig.Tree.Paths.Dev, "vfio", group)]) { UseShellExecute = false, RedirectStandardOutput = true };
        stat.Start();
        var owner = (await stat.StandardOutput.ReadToEndAsync()).Trim().Split(' ');
        await stat.WaitForExitAsync();
        return (owner[0], owner[1]);
    }
}
