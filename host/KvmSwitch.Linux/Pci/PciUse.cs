using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Something that the host would lose with a PCI function.</summary>
/// <param name="Function">The function that it is reached through.</param>
/// <param name="What">Completes "FUNCTION carries …": <c>sda2, mounted at /home</c>.</param>
/// <param name="Remedy">How the user can end that use; empty where there is no way.</param>
/// <param name="IsVital">The host itself can't go on without it: not even force gives it away.</param>
public sealed record PciUse(PciAddress Function, string What, string Remedy, bool IsVital);

/// <summary>Finds what of the host lives behind a function. Some of it is text of strangers (disks, interfaces): bounded and cleaned.</summary>
public sealed class PciUses(KernelPaths paths)
{
    public IEnumerable<PciUse> Behind(PciFunction function) =>
    [
        .. new BlockUses(paths).Behind(function.Address),
        .. new NetworkUses(paths).Behind(function.Address),
        .. function.IsDisplay ? DisplayUses(function) : [],
    ];

    /// <summary>The console's own card, or one that draws on a screen now (drivers/gpu/drm/drm_sysfs.c).</summary>
    private IEnumerable<PciUse> DisplayUses(PciFunction function)
    {
        var directory = new PciInventory(paths).DirectoryOf(function.Address);
        var screens = SysfsPath.NamesIn(Path.Combine(directory, "drm")).SelectMany(card => SysfsPath.NamesIn(Path.Combine(directory, "drm", card))
            .Where(name => name.StartsWith($"{card}-", StringComparison.Ordinal))
            .Where(name => SysfsText.Read(Path.Combine(directory, "drm", card, name), "enabled") == "enabled")).ToArray();
        if (screens.Length > 0) yield return new(function.Address, $"a screen of the host ({SysfsText.Clean(screens[0])})", "switch that output off first", IsVital: false);
        else if (SysfsText.Read(directory, "boot_vga") == "1") yield return new(function.Address, "the screen that the computer starts with", "", IsVital: false);
    }
}
