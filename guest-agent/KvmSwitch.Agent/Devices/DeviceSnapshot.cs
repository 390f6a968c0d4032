namespace KvmSwitch.Agent.Devices;

/// <summary>All devices of the guest at one moment. Immutable.</summary>
internal sealed class DeviceSnapshot
{
    /// <summary>How many devices a host is told of. More than that it takes for nonsense, and ends the link.</summary>
    public const int MostTold = 64;

    public static DeviceSnapshot Empty { get; } = new([]);

    private readonly SortedDictionary<string, AttachedDevice> devices = new(StringComparer.Ordinal);

    public DeviceSnapshot(IEnumerable<AttachedDevice> devices)
    {
        foreach (var device in devices)
            this.devices[device.Key] = device;
    }

    public IReadOnlyCollection<AttachedDevice> Devices => devices.Values;

    /// <summary>What is told to a host that understands these buses beside USB: USB before all else, and not too much.</summary>
    public DeviceSnapshot Telling(IReadOnlySet<DeviceBus> buses) => new(devices.Values
        .Where(device => device.Bus == DeviceBus.Usb || buses.Contains(device.Bus))
        .OrderBy(device => device.Bus)
        .Take(MostTold));

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
