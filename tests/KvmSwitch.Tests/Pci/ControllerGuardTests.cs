using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Pci;

public sealed class ControllerGuardTests : IDisposable
{
    private readonly SysfsTree _tree = new();

    public ControllerGuardTests() => ReferenceSetUp.AddTo(_tree.Pci);

    public void Dispose() => _tree.Dispose();

    [Theory]
    [InlineData("0000:00:1a.0")]
    [InlineData("0000:00:1d.0")]
    [InlineData("0000:01:00.0", "0000:01:00.1")]
    [InlineData("0000:05:00.0", "0000:05:00.1", "0000:05:00.2")]
    public void A_whole_group_may_go_whatever_bridges_are_in_it(params string[] functions) => Check(functions);

    [Fact]
    public void A_card_behind_a_PCI_bridge_shares_its_group_and_the_refusal_names_bridge_and_card() => Assert.Equal(
        "ports can't be given alone: IOMMU group 9 behind the bridge 0000:04:00.0 also has 0000:05:00.1 (USB controller 1106:3038, driver uhci_hcd) and " +
        "0000:05:00.2 (USB controller 1106:3104, driver ehci-pci), and a group moves as a whole; name these functions too, or put the card into another slot",
        Refusal("0000:05:00.0"));

    [Fact]
    public void Half_a_graphics_card_is_refused() => Assert.StartsWith(
        "ports can't be given alone: IOMMU group 1 behind the bridge 0000:00:01.0 also has 0000:01:00.1 (audio device 10de:0fbc, driver snd_hda_intel)", Refusal("0000:01:00.0"),
        StringComparison.Ordinal);

    [Fact]
    public void What_no_driver_of_the_host_uses_may_stay_in_the_group()
    {
        _tree.Pci.Bind("0000:05:00.1", null);
        _tree.Pci.Bind("0000:05:00.2", PciTree.Vfio);

        Check("0000:05:00.0");
    }

    [Fact]
    public void A_function_that_is_not_there_is_refused() =>
        Assert.Equal("ports isn't there: no PCI function 0000:09:00.0", Refusal("0000:00:1a.0", "0000:09:00.0"));

    [Fact]
    public void A_bridge_is_refused() => Assert.Equal(
        "ports can't be given: 0000:04:00.0 (PCI bridge 1b21:1080, driver pcieport) is a bridge; name what is behind it", Refusal("0000:04:00.0"));

    [Fact]
    public void Without_an_IOMMU_the_refusal_says_how_to_switch_it_on()
    {
        _tree.Pci.Add("0000:06:00.0", "1912:0014", 0x0c0330, group: null, "xhci_hcd");

        Assert.Equal(
            "ports can't be given: the IOMMU is off; switch on VT-d or AMD-Vi in the firmware, and on Intel start the kernel with intel_iommu=on", Refusal("0000:06:00.0"));
    }

    [Fact]
    public void Without_the_module_the_refusal_names_it()
    {
        _tree.Pci.Unload(PciTree.Vfio);

        Assert.Equal("ports can't be given: the kernel's module vfio-pci isn't loaded; load it with 'modprobe vfio-pci'", Refusal("0000:00:1a.0"));
    }

    [Fact]
    public void The_hosts_own_disk_stays_even_by_force_and_another_goes_by_force_alone()
    {
        var function = PciAddress.Parse("0000:00:1a.0");
        var home = new PciUse(function, "sdb1, mounted at /home", "unmount it first", IsVital: false);
        var root = new PciUse(function, "sda2, mounted at /", "unmount it first", IsVital: true);

        Assert.Equal("ports can't be given: 0000:00:1a.0 carries sda2, mounted at /", RefusalOf([home, root], force: true));
        Assert.Equal(
            "ports can't be given: 0000:00:1a.0 carries sdb1, mounted at /home; unmount it first, or insist with --force", RefusalOf([home], force: false));
        Assert.Null(RefusalOf([home], force: true));
    }

    [Fact]
    public void What_another_program_has_open_is_refused()
    {
        _tree.Pci.Bind("0000:00:1a.0", PciTree.Vfio);
        var facts = Facts(["0000:00:1a.0"], []);

        var refusal = Assert.Throws<SwitchException>(() => ControllerGuard.Check("ports", facts with { InUse = facts.Functions[0].Found }, force: true));

        Assert.Equal(
            "ports can't be given: another program has 0000:00:1a.0 open through vfio, such as a machine that isn't ours; stop that first", refusal.Message);
    }

    private static PciAddress[] Parse(string[] functions) => [.. functions.Select(PciAddress.Parse)];

    private void Check(params string[] functions) => ControllerGuard.Check("ports", Facts(functions, []), force: false);

    private ControllerFacts Facts(string[] functions, ImmutableArray<PciUse> uses)
    {
        var inventory = new PciInventory(_tree.Paths);
        var named = Parse(functions).Select(address => (Address: address, Found: inventory.At(address))).ToImmutableArray();
        var groups = named.Select(function => function.Found?.IommuGroup).OfType<int>().Distinct();
        return new(named, [.. groups.SelectMany(group => inventory.Group(group))], uses, inventory.HasDriver(PciTree.Vfio), null);
    }

    private string Refusal(params string[] functions)
    {
        var refusal = Assert.Throws<SwitchException>(() => Check(functions));
        Assert.Equal(Failure.Refused, refusal.Failure);
        return refusal.Message;
    }

    private string? RefusalOf(ImmutableArray<PciUse> uses, bool force) =>
        (Record.Exception(() => ControllerGuard.Check("ports", Facts(["0000:00:1a.0"], uses), force)) as SwitchException)?.Message;
}
