using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Hotkeys;

namespace KvmSwitch.Agent.Linux;

/// <summary>Devices and key events of this system.</summary>
internal static class LinuxDevices
{
    /// <summary>Feeds <paramref name="devices"/> and <paramref name="keys"/> until cancelled. The first snapshot is published before this returns to its caller.</summary>
    /// <exception cref="IOException">The kernel does not let us listen.</exception>
    public static async Task WatchAsync(DeviceFeed devices, Action<KeyEvent> keys, CancellationToken cancellationToken)
    {
        var paths = new LinuxPaths();
        using var uevents = Uevents.Open();
        using var evdev = new EvdevKeys(paths, keys);
        var scan = new DeviceScan(paths);
        var order = new Lock();
        var (last, published, publishing) = (0, 0, Task.CompletedTask);
        try
        {
            await uevents.RunAsync(
                () =>
                {
                    if (publishing.IsFaulted)
                        publishing.GetAwaiter().GetResult();
                    var seen = scan.Take();
                    publishing = PublishAsync(seen, evdev.LookAsync(), ++last);
                },
                cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop: the end that this has.
        }

        await publishing;

        // A keyboard is told of once its hotkeys are heard; what a later look saw makes an earlier one the past.
        async Task PublishAsync(DeviceSnapshot seen, Task heard, int turn)
        {
            await heard;
            lock (order)
            {
                if (turn < published)
                    return;
                published = turn;
                devices.Publish(seen);
            }
        }
    }
}
