using System.Text;
using KvmSwitch.Linux;

namespace KvmSwitch.Testing.Linux;

/// <summary>
/// A directory that looks like the kernel's block devices: disks below a USB port or on a SCSI bus, partitions, what is made of
/// them, by-id links, nodes, mounts and swap, and the events that go with changes.
/// </summary>
public sealed class BlockTree : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("kvmswitch-block-");
    private readonly Dictionary<string, string> _devicePaths = new(StringComparer.Ordinal);
    private readonly List<string> _mounts = [];
    private readonly Lock _gate = new();
    private readonly UeventHub _events = new();
    private int _lastMinor;

    public BlockTree()
    {
        Paths = new(Below("sys"), Below("dev"), Below("run")) { Proc = Below("proc") };
        foreach (var folder in (string[])["sys/class/block", "sys/bus/usb/devices", "sys/bus/pci/devices", "dev/disk/by-id", "run", "proc/self"])
        {
            Directory.CreateDirectory(Below(folder));
        }

        Directory.CreateSymbolicLink(Below("sys/bus/pci/devices/0000:00:14.0"), "../../../devices/pci0000:00/0000:00:14.0");
        WriteMounts();
    }

    public KernelPaths Paths { get; }

    /// <summary>What the kernel would tell of the changes made here.</summary>
    public IUeventSource Events => _events;

    /// <summary>A USB device at a port with a disk on it.</summary>
    public void AddUsbDisk(string port, string disk)
    {
        // A hub's devices lie below it: 1-4.2 is in 1-4.
        var chain = port.Split('.').Aggregate(
            (Path: "pci0000:00/0000:00:14.0/usb1", Port: ""), (at, part) => at.Port.Length == 0 ? ($"{at.Path}/{part}", part) : ($"{at.Path}/{at.Port}.{part}", $"{at.Port}.{part}"));
        Directory.CreateSymbolicLink(Below($"sys/bus/usb/devices/{port}"), $"../../../devices/{chain.Path}");
        Add(disk, $"{chain.Path}/{port}:1.0/host6/target6:0:0/6:0:0:0/block/{disk}");
    }

    /// <summary>An optical drive, with its link in /dev/disk/by-id.</summary>
    /// <param name="generic">Its node of the driver sg; null where that isn't loaded.</param>
    public void AddDrive(string name, string byId, string? generic = "sg0")
    {
        Add(name, $"pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/{name}");
        Link(byId, name);
        if (generic is null) return;
        Directory.CreateDirectory(Path.Combine(DirectoryOf(name), "device/scsi_generic", generic));
        File.WriteAllText(Below($"dev/{generic}"), "");
    }

    /// <summary>Makes or changes a link in /dev/disk/by-id.</summary>
    public void Link(string byId, string target)
    {
        var link = Below($"dev/disk/by-id/{byId}");
        File.Delete(link);
        File.CreateSymbolicLink(link, $"../../{target}");
    }

    public void AddPartition(string disk, string name)
    {
        Add(name, $"{_devicePaths[disk]}/{name}");
        File.WriteAllText(Path.Combine(DirectoryOf(name), "partition"), "1\n");
    }

    /// <summary>A device that device-mapper or md made of others.</summary>
    /// <param name="uuid">Of device-mapper, as <c>CRYPT-LUKS2-…</c>; empty for md.</param>
    public void AddMade(string name, string uuid, params string[] of)
    {
        Add(name, $"virtual/block/{name}");
        if (uuid.Length > 0)
        {
            Directory.CreateDirectory(Path.Combine(DirectoryOf(name), "dm"));
            File.WriteAllText(Path.Combine(DirectoryOf(name), "dm/uuid"), uuid + "\n");
        }

        foreach (var slave in of) File.WriteAllText(Path.Combine(DirectoryOf(slave), "holders", name), "");
    }

    public void Remove(string name)
    {
        foreach (var holder in Directory.EnumerateFiles(Below("sys/devices"), name, SearchOption.AllDirectories).ToArray()) File.Delete(holder);
        File.Delete(Below($"sys/class/block/{name}"));
        Directory.Delete(DirectoryOf(name), recursive: true);
        File.Delete(Below($"dev/{name}"));
        _devicePaths.Remove(name);
        Tell("remove", name);
    }

    /// <param name="numbers">Null for those of the device; another text for a file system with numbers of its own.</param>
    public void Mount(string device, string point, string type = "ext4", string? numbers = null)
    {
        var escaped = point.Replace("\\", @"\134", StringComparison.Ordinal).Replace(" ", @"\040", StringComparison.Ordinal).Replace("\n", @"\012", StringComparison.Ordinal);
        lock (_gate) _mounts.Add($"{_mounts.Count + 40} 26 {numbers ?? NumbersOf(device)} / {escaped} rw,relatime shared:1 - {type} /dev/{device} rw");
        WriteMounts();
    }

    /// <summary>Takes away the last mount at this place.</summary>
    public void Unmount(string point)
    {
        lock (_gate) _mounts.RemoveAt(_mounts.FindLastIndex(line => PointOf(line) == point));
        WriteMounts();
    }

    public void Swap(params string[] devices) => File.WriteAllText(
        Below("proc/swaps"), "Filename\t\t\t\tType\t\tSize\n" + string.Concat(devices.Select(device => $"/dev/{device}      partition\t1024\n")));

    /// <summary>An event of a device, as when its medium changed.</summary>
    public void Tell(string action, string name) =>
        _events.Publish(new(action, "block", $"/devices/somewhere/block/{name}"));

    public string NumbersOf(string name) => File.ReadAllText(Path.Combine(DirectoryOf(name), "dev")).Trim();

    public void Dispose() => _root.Delete(recursive: true);

    private static string PointOf(string line) => line.Split(' ')[4]
        .Replace(@"\040", " ", StringComparison.Ordinal).Replace(@"\012", "\n", StringComparison.Ordinal).Replace(@"\134", "\\", StringComparison.Ordinal);

    private void Add(string name, string devicePath)
    {
        _devicePaths[name] = devicePath;
        Directory.CreateDirectory(Path.Combine(DirectoryOf(name), "holders"));
        File.WriteAllText(Path.Combine(DirectoryOf(name), "dev"), $"8:{++_lastMinor}\n");
        Directory.CreateSymbolicLink(Below($"sys/class/block/{name}"), $"../../devices/{devicePath}");
        File.WriteAllText(Below($"dev/{name}"), "");
        Tell("add", name);
    }

    private void WriteMounts()
    {
        // A reader of procfs never finds half a file.
        var path = Below("proc/self/mountinfo");
        lock (_gate)
        {
            File.WriteAllText(path + ".new", string.Concat(_mounts.Prepend("26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw").Select(line => line + "\n")), Encoding.Latin1);
            File.Move(path + ".new", path, overwrite: true);
        }
    }

    private string DirectoryOf(string name) => Below($"sys/devices/{_devicePaths[name]}");

    private string Below(string path) => Path.Combine(_root.FullName, path);
}
