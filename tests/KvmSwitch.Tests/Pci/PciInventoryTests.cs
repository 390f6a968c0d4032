using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Pci;

public sealed class PciInventoryTests : IDisposable
{
    private readonly SysfsTree _tree = new();

    private PciInventory Inventory => new(_tree.Paths);

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void The_reference_set_up_is_read_as_it_is()
    {
        ReferenceSetUp.AddTo(_tree.Pci);

        var all = Inventory.All();

        Assert.Equal(22, all.Length);
        Assert.Equal(
            [("0000:00:14.0", 3), ("0000:00:1a.0", 5), ("0000:00:1d.0", 10), ("0000:05:00.0", 9), ("0000:05:00.1", 9), ("0000:05:00.2", 9)],
            all.Where(f => f.IsUsbController).Select(f => (f.Address.Value, f.IommuGroup!.Value)));
        Assert.Equal(["0000:00:01.0", "0000:01:00.0", "0000:01:00.1"], Inventory.Group(1).Select(f => f.Address.Value));
        Assert.Equal(["0000:00:01.0"], Inventory.Group(1).Where(f => f.IsBridge).Select(f => f.Address.Value));
        Assert.Equal(5, Inventory.Group(9).Length);
    }

    [Fact]
    public void A_function_tells_what_it_is()
    {
        ReferenceSetUp.AddTo(_tree.Pci);

        var ehci = Inventory.At(PciAddress.Parse("0000:00:1a.0"))!;
        Assert.Equal((VidPid.Parse("8086:1e2d"), 0x0c0320u, "ehci-pci", 5), (ehci.Id, ehci.Class, ehci.Driver, ehci.IommuGroup));
        Assert.Equal("0000:00:1a.0 (USB controller 8086:1e2d, driver ehci-pci)", ehci.ToString());
        Assert.Equal(["0000:00:1c.5", "0000:04:00.0"], Inventory.At(PciAddress.Parse("0000:05:00.1"))!.Bridges.Select(b => b.Value));
        Assert.Null(Inventory.At(PciAddress.Parse("0000:00:1f.7")));
    }

    [Fact]
    public void The_override_is_read_and_none_is_none()
    {
        _tree.Pci.Add("0000:00:1a.0", "8086:1e2d", 0x0c0320, 5, "ehci-pci");
        var path = Path.Combine(_tree.Paths.Sys, "bus/pci/devices/0000:00:1a.0/driver_override");

        Assert.Null(Inventory.OverrideOf(PciAddress.Parse("0000:00:1a.0")));
        Assert.Equal(0, _tree.Pci.Write(path, "vfio-pci"));
        Assert.Equal("vfio-pci", Inventory.OverrideOf(PciAddress.Parse("0000:00:1a.0")));
    }

    [Fact]
    public void Without_an_IOMMU_there_is_no_group()
    {
        _tree.Pci.Add("0000:00:1a.0", "8086:1e2d", 0x0c0320, group: null, "ehci-pci");

        Assert.Null(Inventory.At(PciAddress.Parse("0000:00:1a.0"))!.IommuGroup);
    }

    [Theory]
    [InlineData("vendor", "")]
    [InlineData("vendor", "0x")]
    [InlineData("vendor", "8086")]
    [InlineData("device", "0x12345")]
    [InlineData("class", "0x1000000")]
    [InlineData("class", "USB\u001b[2J")]
    public void What_makes_no_sense_is_passed_over(string attribute, string text)
    {
        _tree.Pci.Add("0000:00:1a.0", "8086:1e2d", 0x0c0320, 5, "ehci-pci");
        _tree.Pci.Add("0000:00:1d.0", "8086:1e26", 0x0c0320, 10, "ehci-pci");
        File.WriteAllText(Path.Combine(_tree.Paths.Sys, "bus/pci/devices/0000:00:1a.0", attribute), text + "\n");

        Assert.Equal(["0000:00:1d.0"], Inventory.All().Select(f => f.Address.Value));
    }

    [Fact]
    public void A_computer_without_PCI_has_no_functions() => Assert.Empty(new PciInventory(_tree.Paths with { Sys = "/nonexistent" }).All());
}
