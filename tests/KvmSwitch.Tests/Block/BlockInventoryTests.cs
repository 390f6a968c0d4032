using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Block;

public sealed class BlockInventoryTests : IDisposable
{
    private readonly BlockTree _tree = new();

    private BlockInventory Inventory => new(_tree.Paths);

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void A_usb_device_has_its_disk_and_partitions_and_no_others()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.AddPartition("sdb", "sdb1");
        _tree.AddUsbDisk("1-40", "sdc");

        Assert.Equal([("sdb", false), ("sdb1", true)], Inventory.Below(UsbPort.Parse("1-4")).Select(block => (block.Name, block.IsPartition)));
    }

    [Fact]
    public void A_hub_has_what_is_plugged_into_it_and_a_controller_all_of_its_bus()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.AddUsbDisk("1-4.2", "sdc");
        _tree.AddUsbDisk("1-1", "sdd");
        _tree.AddDrive("sr0", "ata-A");

        Assert.Equal(["sdb", "sdc"], Inventory.Below(UsbPort.Parse("1-4")).Select(block => block.Name));
        Assert.Equal(["sdb", "sdc", "sdd"], Inventory.Below(PciAddress.Parse("0000:00:14.0")).Select(block => block.Name));
    }

    [Fact]
    public void Nothing_is_found_where_nothing_is()
    {
        Assert.Empty(Inventory.Below(UsbPort.Parse("1-4")));
        Assert.Empty(Inventory.Named("sr0"));
        Assert.Empty(new BlockInventory(new("/nowhere", "/nowhere", "/nowhere")).Named("sr0"));
    }

    [Fact]
    public void Mounts_are_found_by_number_and_the_last_one_comes_first()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.AddPartition("sdb", "sdb1");
        _tree.Mount("sdb1", "/media/a");
        _tree.Mount("sdb1", "/media/b");

        Assert.Equal(["/media/b", "/media/a"], Points("sdb"));
    }

    [Fact]
    public void What_is_made_of_a_device_counts_through_every_layer()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.AddPartition("sdb", "sdb1");
        _tree.AddMade("dm-0", "CRYPT-LUKS2-x", "sdb1");
        _tree.AddMade("dm-1", "LVM-y", "dm-0");
        _tree.Mount("dm-1", "/data");
        _tree.Swap("dm-0");

        var use = Inventory.UseOf(Inventory.Named("sdb"));

        Assert.Equal(["dm-0", "dm-1", "sdb", "sdb1"], use.Devices.Select(device => device.Name));
        Assert.Equal(("dm-1", "/data"), (use.Mounts.Single().Device.Name, use.Mounts.Single().Mount.Point));
        Assert.Equal(["dm-0"], use.Swaps);
        Assert.Equal(["dm-0"], use.Devices.Where(device => device.IsEncryption).Select(device => device.Name));
    }

    [Fact]
    public void Btrfs_is_found_by_any_device_of_its_volume()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.AddUsbDisk("1-5", "sdc");
        Directory.CreateDirectory(Path.Combine(_tree.Paths.Sys, "fs/btrfs/uuid/devices/sdb"));
        Directory.CreateDirectory(Path.Combine(_tree.Paths.Sys, "fs/btrfs/uuid/devices/sdc"));
        _tree.Mount("sdb", "/data", "btrfs", "0:44");

        Assert.Equal(["/data"], Points("sdb"));
        Assert.Equal(["/data"], Points("sdc"));
    }

    [Fact]
    public void A_user_can_not_pretend_that_a_device_is_mounted()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.Mount("sdb", "/home/me/mine", "fuse.sshfs", "0:44");

        Assert.Empty(Points("sdb"));
    }

    [Fact]
    public void What_process_1_has_mounted_counts_where_that_may_be_read()
    {
        _tree.AddUsbDisk("1-4", "sdb");
        _tree.Mount("sdb", "/media/a");
        Directory.CreateDirectory(Path.Combine(_tree.Paths.Proc, "1"));
        File.WriteAllText(Path.Combine(_tree.Paths.Proc, "1/mountinfo"), $"1 2 {_tree.NumbersOf("sdb")} / /elsewhere rw - ext4 /dev/sdb rw\n");

        Assert.Equal(["/elsewhere"], Points("sdb"));
    }

    private IEnumerable<string> Points(string disk) => Inventory.UseOf(Inventory.Named(disk)).Mounts.Select(use => use.Mount.Point);
}
