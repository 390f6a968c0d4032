namespace KvmSwitch.Agent.Devices;

/// <summary>All USB devices of the guest at one moment. Immutable.</summary>
internal sealed class DeviceSnapshot
{
    public static DeviceSnapshot Empty { get; } = new([]);

    private readonly SortedDictionary<string, AttachedDevice> devices = new(StringComparer.Ordinal);

    public DeviceSnapshot(IEnumerable<AttachedDevice> devices)
    {
        foreach (var device in devices)
            this.devices[device.Key] = device;
    }

    public IReadOnlyCollection<AttachedDevice> Devices => devices.Values;

    /// <summary>What changed since <paramref name="older"/>: departures first, so that a reused key reads as gone, then present.</summary>
    public IReadOnlyList<DeviceChange> Since(DeviceSnapshot older)
    {
        var changes = new List<DeviceChange>();
        foreach (var was in older.devices.Values)
        {
            if (!devices.TryGetValue(was.Key, out var now) || now.Enumeration != was.Enumeration)
                changes.Add(new(Present: false, was));
        }

        foreach (var now in devices.Values)
        {
            if (!older.devices.TryGetValue(now.Key, out var was) || was != now)
                changes.Add(new(Present: true, now));
        }

        return changes;
    }
}
