using System.Runtime.Versioning;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Hotkeys;

namespace KvmSwitch.Agent.Windows;

/// <summary>A Windows guest.</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsSystem : IGuestSystem
{
    private readonly DeviceFeed devices = new();

    public IDeviceWatcher Devices => devices;

    public IHotkeys Hotkeys { get; } = new ChordWatch();

    public IPower Power { get; } = new WindowsPower();

    public Task WatchAsync(CancellationToken cancellationToken) => Task.Delay(Timeout.Infinite, cancellationToken).ContinueWith(_ => { }, TaskScheduler.Default);
}
