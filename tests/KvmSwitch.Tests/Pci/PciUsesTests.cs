using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Pci;

public sealed class PciUsesTests : IDisposable
{
    private const string Sata = "0000:00:1f.2";
    private const string Network = "0000:03:00.0";
    private const string RouteHeader = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    private readonly SysfsTree _tree = new();

    public PciUsesTests()
    {
        ReferenceSetUp.AddTo(_tree.Pci);
        _tree.Pci.AddBelow(Sata, "block", "ata1/host0/block/sda", ("dev", "8:0"));
        _tree.Pci.AddBelow(Sata, "block", "ata1/host0/block/sda/sda1", ("dev", "8:1"));
        _tree.Pci.AddBelow(Sata, "block", "ata1/host0/block/sda/sda2", ("dev", "8:2"));
    }

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void A_disk_that_nobody_uses_is_no_use() => Assert.Empty(Behind(Sata));

    [Fact]
    public void The_disk_of_the_root_file_system_is_vital()
    {
        Mount("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw");
        Mount("23 1 8:2 / /mnt/my\\040films rw - ext4 /dev/sda2 rw");

        Assert.Equal([("sda1, mounted at /", true), ("sda2, mounted at /mnt/my films", false)], Behind(Sata));
        Assert.Empty(Behind("0000:00:1a.0"));
    }

    [Fact]
    public void A_vital_mount_point_is_named_before_another_of_the_same_disk()
    {
        Mount("22 1 8:1 /srv /srv rw - ext4 /dev/sda1 rw");
        Mount("23 1 8:1 / /var rw - ext4 /dev/sda1 rw");

        Assert.Equal([("sda1, mounted at /var", true)], Behind(Sata));
    }

    [Fact]
    public void Swap_is_vital()
    {
        Proc("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda2                               partition\t8388604\t\t0\t\t-2\n");

        Assert.Equal([("sda2, used as swap", true)], Behind(Sata));
    }

    [Fact]
    public void Encrypted_volumes_are_followed_down_to_the_disk()
    {
        var volume = _tree.Pci.AddElsewhere("block", "devices/virtual/block/dm-1", ("dev", "253:1"));
        Directory.CreateDirectory(Path.Combine(volume, "slaves/dm-0"));
        Directory.CreateDirectory(Path.Combine(_tree.Pci.AddElsewhere("block", "devices/virtual/block/dm-0", ("dev", "253:0")), "slaves/sda2"));
        Mount("22 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw");

        Assert.Equal([("sda2, mounted at /", true)], Behind(Sata));
    }

    [Fact]
    public void A_pool_of_btrfs_is_on_all_its_disks()
    {
        Directory.CreateDirectory(Path.Combine(_tree.Paths.Sys, "fs/btrfs/features"));
        Directory.CreateDirectory(Path.Combine(_tree.Paths.Sys, "fs/btrfs/5ee2/devices/sda1"));
        Directory.CreateDirectory(Path.Combine(_tree.Paths.Sys, "fs/btrfs/5ee2/devices/sdz"));
        Mount("22 1 0:27 /@home /home rw - btrfs /dev/sdz rw");

        Assert.Equal([("sda1, mounted at /home", false)], Behind(Sata));
    }

    [Fact]
    public void A_member_of_something_unmounted_counts_too()
    {
        Directory.CreateDirectory(Path.Combine(_tree.Paths.Sys, "class/block/sda1/holders/md0"));

        Assert.Equal([("sda1, part of md0", false)], Behind(Sata));
    }

    [Theory]
    [InlineData("")]
    [InlineData("22 1 8:1\n")]
    [InlineData("22 1 8:1 / / rw -\n")]
    [InlineData("- - - - - - - - -\n")]
    [InlineData("22 1 8:9 / \\04 rw - x \\ rw\n")]
    public void A_table_that_makes_no_sense_is_no_use(string table)
    {
        Proc("self/mountinfo", table);

        Assert.Empty(Behind(Sata));
    }

    [Fact]
    public void An_interface_with_the_default_route_is_a_use()
    {
        _tree.Pci.AddBelow(Network, "net", "net/enp3s0");
        Assert.Empty(Behind(Network));
        Proc("net/route", RouteHeader + "enp3s0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");

        Assert.Equal([("the network interface enp3s0, which has the default route", false)], Behind(Network));
    }

    [Fact]
    public void An_interface_below_one_with_the_default_route_of_IPv6_is_a_use()
    {
        var directory = _tree.Pci.AddBelow(Network, "net", "net/enp3s0");
        Directory.CreateDirectory(Path.Combine(directory, "upper_enp3s0.7"));
        Proc("net/ipv6_route", $"{new string('0', 32)} 00 {new string('0', 32)} 00 fe80{new string('0', 27)}1 00000400 00000001 00000000 00000003 enp3s0.7\n");

        Assert.Equal([("the network interface enp3s0, which has the default route", false)], Behind(Network));
    }

    [Fact]
    public void An_interface_in_a_bridge_is_a_use()
    {
        var directory = _tree.Pci.AddBelow(Network, "net", "net/enp3s0");
        Directory.CreateSymbolicLink(Path.Combine(directory, "master"), "../../../../virtual/net/br0");

        Assert.Equal([("the network interface enp3s0, which is in br0", false)], Behind(Network));
    }

    [Fact]
    public void A_screen_that_is_drawn_on_is_a_use()
    {
        _tree.Pci.AddBelow("0000:00:02.0", "drm", "drm/card0");
        _tree.Pci.AddBelow("0000:00:02.0", "drm", "drm/card0/card0-HDMI-A-1", ("enabled", "disabled"));
        Assert.Empty(Behind("0000:00:02.0"));
        _tree.Pci.AddBelow("0000:00:02.0", "drm", "drm/card0/card0-DP-1", ("enabled", "enabled"));

        Assert.Equal([("a screen of the host (card0-DP-1)", false)], Behind("0000:00:02.0"));
    }

    [Fact]
    public void The_card_that_the_computer_starts_with_is_a_use()
    {
        File.WriteAllText(Path.Combine(_tree.Paths.Sys, "bus/pci/devices/0000:00:02.0/boot_vga"), "1\n");

        Assert.Equal([("the screen that the computer starts with", false)], Behind("0000:00:02.0"));
    }

    private (string What, bool IsVital)[] Behind(string address) =>
        [.. new PciUses(_tree.Paths).Behind(new PciInventory(_tree.Paths).At(PciAddress.Parse(address))!).Select(use => (use.What, use.IsVital))];

    private void Mount(string line)
    {
        Proc("self/mountinfo", "");
        File.AppendAllText(Path.Combine(_tree.Paths.Proc, "self/all"), line + "\n");
        File.Copy(Path.Combine(_tree.Paths.Proc, "self/all"), Path.Combine(_tree.Paths.Proc, "self/mountinfo"), overwrite: true);
    }

    private void Proc(string file, string content)
    {
        var path = Path.Combine(_tree.Paths.Proc, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, content);
    }
}
