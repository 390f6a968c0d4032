using System.Collections.Immutable;
using System.Globalization;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// The host's PCI functions, read anew with each call. Reads only what the kernel shows without taking a device's lock, so that a
/// driver that hangs doesn't hang the reader; <see cref="OverrideOf"/> is the exception.
/// </summary>
public sealed class PciInventory(KernelPaths paths)
{
    private readonly string _devices = Path.Combine(paths.Sys, "bus/pci/devices");

    /// <summary>All functions, ordered by address. Empty on a computer without PCI.</summary>
    public ImmutableArray<PciFunction> All() => [.. Addresses(_devices).Select(At).OfType<PciFunction>()];

    /// <summary>Null when there is no such function.</summary>
    public PciFunction? At(PciAddress address)
    {
        var directory = DirectoryOf(address);
        return Hexadecimal(directory, "vendor", 0xffff) is { } vendor && Hexadecimal(directory, "device", 0xffff) is { } device
            && Hexadecimal(directory, "class", 0xff_ffff) is { } kind
            ? new(
                address, new((ushort)vendor, (ushort)device), kind, SysfsText.LinkName(directory, "driver"), GroupOf(directory),
                [.. SysfsPath.FunctionsIn(SysfsPath.TargetOf(directory)).SkipLast(1)])
            : null;
    }

    /// <summary>The driver that is bound to the function; null: none, or no such function. Reads one link.</summary>
    public string? DriverOf(PciAddress address) => SysfsText.LinkName(DirectoryOf(address), "driver");

    /// <summary>The functions of an IOMMU group, bridges too, ordered by address. They can only be lent together.</summary>
    public ImmutableArray<PciFunction> Group(int group) =>
        [.. Addresses(Path.Combine(paths.Sys, "kernel/iommu_groups", $"{group}", "devices")).Select(At).OfType<PciFunction>()];

    /// <summary>
    /// The only driver that may bind to the function; null when any may. Takes the device's lock: while a driver hangs in binding or
    /// unbinding, this hangs as well.
    /// </summary>
    public string? OverrideOf(PciAddress address) =>
        SysfsText.Read(DirectoryOf(address), "driver_override") is { Length: > 0 } text and not "(null)" ? text : null;

    /// <summary>Whether the kernel has this driver now, built in or loaded.</summary>
    internal bool HasDriver(string driver) => Directory.Exists(Path.Combine(paths.Sys, "bus/pci/drivers", driver));

    /// <summary>Whether the function's USB buses are there, each with its root hub at work. For USB controllers.</summary>
    internal bool HasRootHubs(PciAddress address)
    {
        const string Bus = "usb";
        var directory = DirectoryOf(address);
        var buses = SysfsPath.NamesIn(directory).Where(name => name.StartsWith(Bus, StringComparison.Ordinal) && int.TryParse(name.AsSpan(Bus.Length), out _)).ToArray();
        return buses.Length > 0 && buses.All(bus => SysfsText.LinkName(Path.Combine(directory, bus, $"{bus[Bus.Length..]}-0:1.0"), "driver") is not null);
    }

    internal string DirectoryOf(PciAddress address) => Path.Combine(_devices, address.Value);

    private static IEnumerable<PciAddress> Addresses(string directory)
    {
        foreach (var name in SysfsPath.NamesIn(directory))
            if (PciAddress.TryParse(name, out var address)) yield return address;
    }

    private static int? GroupOf(string directory) =>
        int.TryParse(SysfsText.LinkName(directory, "iommu_group"), NumberStyles.None, CultureInfo.InvariantCulture, out var group) ? group : null;

    private static uint? Hexadecimal(string directory, string attribute, uint limit) =>
        SysfsText.Read(directory, attribute) is { Length: > 2 } text && text.StartsWith("0x", StringComparison.Ordinal)
        && uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) && number <= limit
            ? number
            : null;
}
