using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Hotkeys;

namespace KvmSwitch.Agent.Linux;

/// <summary>A Linux guest, without anything else in it.</summary>
internal sealed class LinuxSystem : IGuestSystem
{
    private readonly DeviceFeed devices = new();
    private readonly ChordWatch chords = new();

    public IDeviceWatcher Devices => devices;

    public IHotkeys Hotkeys => chords;

    public IPower Power { get; } = new Power();

    public IEjector? Ejector => null;

    public Task WatchAsync(CancellationToken cancellationToken) => LinuxDevices.WatchAsync(devices, chords.Take, cancellationToken);
}
