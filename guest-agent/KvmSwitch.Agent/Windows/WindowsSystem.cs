using System.Runtime.Versioning;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Windows.Devices;

namespace KvmSwitch.Agent.Windows;

/// <summary>A Windows guest.</summary>
/// <param name="hotkeys">What watches hotkeys: the processes of the sessions do it, since nobody else can.</param>
[SupportedOSPlatform("windows")]
internal sealed class WindowsSystem(IHotkeys hotkeys) : IGuestSystem
{
    private readonly DeviceFeed devices = new();

    public IDeviceWatcher Devices => devices;

    public IHotkeys Hotkeys => hotkeys;

    public IPower Power { get; } = new WindowsPower();

    public IEjector? Ejector { get; } = new Ejector();

    public Task WatchAsync(CancellationToken cancellationToken) => WindowsDevices.WatchAsync(devices, cancellationToken);
}
