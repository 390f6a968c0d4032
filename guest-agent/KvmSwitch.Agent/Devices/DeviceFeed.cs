namespace KvmSwitch.Agent.Devices;

/// <summary>Holds the newest snapshot and wakes whoever waits for a newer one. Readers that lag see the newest state, never a queue.</summary>
internal sealed class DeviceFeed : IDeviceWatcher
{
    private readonly Lock gate = new();
    private DeviceSnapshot current = DeviceSnapshot.Empty;
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public DeviceSnapshot Current
    {
        get
        {
            lock (gate)
                return current;
        }
    }

    public void Publish(DeviceSnapshot snapshot)
    {
        TaskCompletionSource wake;
        lock (gate)
        {
            if (snapshot.Since(current).Count == 0)
                return;
            current = snapshot;
            wake = changed;
            changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        wake.SetResult();
    }

    public async Task<DeviceSnapshot> NextAsync(DeviceSnapshot seen, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task wake;
            lock (gate)
            {
                if (!ReferenceEquals(current, seen))
                    return current;
                wake = changed.Task;
            }

            await wake.WaitAsync(cancellationToken);
        }
    }
}
