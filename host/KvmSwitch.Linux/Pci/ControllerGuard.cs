using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>What the host shows of a controller that is to be given away.</summary>
/// <param name="Functions">Of the route, in its order; null for one that isn't there.</param>
/// <param name="Group">All functions of the IOMMU groups concerned.</param>
/// <param name="HasVfio">The kernel has vfio-pci.</param>
/// <param name="InUse">One that a program has already that we didn't lend it to; null: none.</param>
internal sealed record ControllerFacts(
    ImmutableArray<(PciAddress Address, PciFunction? Found)> Functions, ImmutableArray<PciFunction> Group, ImmutableArray<PciUse> Uses, bool HasVfio,
    PciFunction? InUse);

/// <summary>Says what speaks against giving a controller away. Pure.</summary>
internal static class ControllerGuard
{
    /// <param name="name">What the user calls it.</param>
    /// <param name="force">Overrides the uses that the host can do without.</param>
    /// <exception cref="SwitchException">Refused, in one sentence.</exception>
    public static void Check(string name, ControllerFacts facts, bool force)
    {
        foreach (var (address, found) in facts.Functions)
        {
            if (found is null) throw Refusal($"{name} isn't there: no PCI function {address}");
            if (found.IsBridge) throw Refusal($"{name} can't be given: {found} is a bridge; name what is behind it");
            if (found.IommuGroup is null)
                throw Refusal($"{name} can't be given: the IOMMU is off; switch on VT-d or AMD-Vi in the firmware, and on Intel start the kernel with intel_iommu=on");
        }

        if (facts.InUse is { } inUse)
            throw Refusal($"{name} can't be given: another program has {inUse.Address} open through vfio, such as a machine that isn't ours; stop that first");
        if (!facts.HasVfio) throw Refusal($"{name} can't be given: the kernel's module vfio-pci isn't loaded; load it with 'modprobe vfio-pci'");
        CheckGroups(name, facts);
        if (facts.Uses.FirstOrDefault(use => use.IsVital) is { } vital) throw Refusal($"{name} can't be given: {vital.Function} carries {vital.What}");
        if (!force && facts.Uses.FirstOrDefault() is { } use)
        {
            var remedy = use.Remedy.Length > 0 ? $"{use.Remedy}, or insist with --force" : "insist with --force if that is meant";
            throw Refusal($"{name} can't be given: {use.Function} carries {use.What}; {remedy}");
        }
    }

    private static void CheckGroups(string name, ControllerFacts facts)
    {
        var named = facts.Functions.Select(function => function.Address).ToHashSet();
        var inTheWay = facts.Group.Where(function => !named.Contains(function.Address) && !function.AllowsLending).ToArray();
        if (inTheWay.Length == 0) return;
        var shared = inTheWay[0].IommuGroup;
        var bridge = facts.Group.LastOrDefault(function => function.IsBridge && function.IommuGroup == shared && inTheWay[0].Bridges.Contains(function.Address));
        var why = bridge is null ? "" : $" behind the bridge {bridge.Address}";
        throw Refusal(
            $"{name} can't be given alone: IOMMU group {shared}{why} also has {string.Join(" and ", inTheWay.AsEnumerable())}, and a group moves as a whole; " +
            "name these functions too, or put the card into another slot");
    }

    private static SwitchException Refusal(string message) => new(Failure.Refused, message);
}
