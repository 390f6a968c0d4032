using System.Runtime.Versioning;
using KvmSwitch.Agent.Devices;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Devices of this system.</summary>
[SupportedOSPlatform("windows")]
internal static class WindowsDevices
{
    /// <summary>Feeds <paramref name="devices"/> until cancelled. The first snapshot is published before this returns to its caller.</summary>
    /// <exception cref="IOException">Windows does not let us listen.</exception>
    public static async Task WatchAsync(DeviceFeed devices, CancellationToken cancellationToken)
    {
        using var hints = Listen();
        try
        {
            while (true)
            {
                devices.Publish(new NodeTree(NodeScan.Take()).Devices());
                await hints.NextAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop: the end that this has.
        }
    }

    private static IDeviceHints Listen()
    {
        try
        {
            return new DeviceNotifications();
        }
        catch (Exception lacking) when (lacking is EntryPointNotFoundException or NotSupportedException)
        {
            // Before Windows 8, and in Wine: 8 has no such call, in 10 it does nothing.
            return new DeviceWindow();
        }
    }
}

/// <summary>Tells when devices may have changed. Hints that come while nobody waits become one.</summary>
internal interface IDeviceHints : IDisposable
{
    /// <summary>Ends at a hint given since the last call ended, or at the next.</summary>
    Task NextAsync(CancellationToken cancellationToken);
}
