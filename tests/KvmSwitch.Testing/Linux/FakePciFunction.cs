using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Linux;

/// <summary>One function of a <see cref="PciTree"/>.</summary>
/// <param name="Usual">The driver of the kernel's that fits it; null: none does.</param>
internal sealed record FakePciFunction(PciAddress Address, VidPid Id, uint Class, int? Group, string? Usual, ImmutableArray<PciAddress> Bridges)
{
    public string? Driver { get; set; }

    public string Override { get; set; } = "";

    /// <summary>As the kernel's lock of the device: who hangs in binding or unbinding holds it.</summary>
    public SemaphoreSlim Turn { get; } = new(1);

    /// <summary>Below /sys.</summary>
    public string Directory => string.Join('/', Bridges.Select(bridge => bridge.Value).Prepend("devices/pci0000:00").Append(Address.Value));

    public bool IsUsbController => Class >> 8 == 0x0c03;

    /// <summary>The driver that binding without a name gives it (drivers/base/dd.c, drivers/pci/pci-driver.c).</summary>
    public string? Fitting(IReadOnlySet<string> loaded, ISet<VidPid> vfioIds) =>
        Override.Length > 0 ? loaded.Contains(Override) ? Override : null
        : vfioIds.Contains(Id) && loaded.Contains("vfio-pci") ? "vfio-pci"
        : Usual is not null && loaded.Contains(Usual) ? Usual
        : null;
}
