using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Linux;

namespace KvmSwitch.Testing.Linux;

/// <summary>
/// The PCI side of a <see cref="SysfsTree"/>: functions, bridges, IOMMU groups, drivers that bind and let go as the kernel's do, and the
/// nodes of vfio. Reading goes by the files; writing by <see cref="Write"/>, which blocks and fails where the kernel would.
/// </summary>
public sealed class PciTree : ISysfsWriter
{
    public const string Vfio = "vfio-pci";
    private const int ENODEV = 19;
    private const int EBUSY = 16;
    private const int EACCES = 13;
    private const int EINVAL = 22;
    private readonly Lock _gate = new();
    private readonly KernelPaths _paths;
    private readonly UeventHub _events;
    private readonly Dictionary<string, FakePciFunction> _functions = new(StringComparer.Ordinal);
    private readonly HashSet<string> _loaded = new(StringComparer.Ordinal);

    internal PciTree(KernelPaths paths, UeventHub events)
    {
        (_paths, _events) = (paths, events);
        Directory.CreateDirectory(Devices);
        Directory.CreateDirectory(Path.Combine(paths.Dev, "vfio"));
        foreach (var driver in (string[])["xhci_hcd", "ehci-pci", "uhci_hcd", "ahci", "nvme", "r8169", "snd_hda_intel", "nouveau", "pcieport", Vfio]) Load(driver);
    }

    public PciFaults Faults { get; } = new();

    /// <summary>Ids that vfio-pci claims before every other driver, as with <c>vfio-pci.ids=</c> on the kernel's command line.</summary>
    public ISet<VidPid> VfioIds { get; } = new HashSet<VidPid>();

    /// <summary>Functions that a QEMU has opened: unbinding makes it let go, and so <see cref="LetGo"/> is told.</summary>
    public ConcurrentDictionary<string, byte> Held { get; } = new();

    /// <summary>A QEMU let go because its function was unbound.</summary>
    public ConcurrentQueue<string> LetGo { get; } = new();

    /// <summary>A driver took a function (true) or let go of it: for what hangs behind.</summary>
    internal Action<PciAddress, bool> BoundToUsual { get; set; } = (_, _) => { };

    private string Devices => Path.Combine(_paths.Sys, "bus/pci/devices");

    /// <summary>Makes a driver known, as loading its module does.</summary>
    public void Load(string driver)
    {
        lock (_gate) _loaded.Add(driver);
        Directory.CreateDirectory(Path.Combine(_paths.Sys, "bus/pci/drivers", driver));
    }

    /// <summary>As if its module weren't there. What is bound stays so.</summary>
    public void Unload(string driver)
    {
        lock (_gate) _loaded.Remove(driver);
        Directory.Delete(Path.Combine(_paths.Sys, "bus/pci/drivers", driver), recursive: true);
    }

    /// <summary>Plugs a function in; the driver that fits binds.</summary>
    /// <param name="kind">Base class, subclass and programming interface.</param>
    /// <param name="group">IOMMU group; null: the IOMMU is off.</param>
    /// <param name="usual">The kernel's driver for it.</param>
    /// <param name="bridges">Those above it, from the root down.</param>
    public void Add(string address, string id, uint kind, int? group, string? usual = null, params string[] bridges)
    {
        var function = new FakePciFunction(PciAddress.Parse(address), VidPid.Parse(id), kind, group, usual, [.. bridges.Select(PciAddress.Parse)]);
        lock (_gate)
        {
            _functions.Add(address, function);
            Show(function);
        }

        Tell("add", "pci", address);
        Probe(function);
    }

    public void Remove(string address)
    {
        FakePciFunction function;
        lock (_gate) function = _functions[address];
        Release(function);
        lock (_gate)
        {
            _functions.Remove(address);
            File.Delete(Path.Combine(Devices, address));
            if (function.Group is { } group) File.Delete(Path.Combine(GroupOf(group), "devices", address));
            Directory.Delete(Path.Combine(_paths.Sys, function.Directory), recursive: true);
        }

        Tell("remove", "pci", address);
    }

    public string? DriverOf(string address)
    {
        lock (_gate) return _functions.TryGetValue(address, out var function) ? function.Driver : null;
    }

    /// <summary>Empty: any driver may bind.</summary>
    public string OverrideOf(string address)
    {
        lock (_gate) return _functions.TryGetValue(address, out var function) ? function.Override : "";
    }

    /// <summary>As an administrator, the boot, or driverctl would: without any fault, and no matter what is bound.</summary>
    public void Bind(string address, string? driver)
    {
        FakePciFunction function;
        lock (_gate) function = _functions[address];
        Release(function);
        if (driver is not null) Take(function, driver);
    }

    /// <summary>A device of a class below a function, as a disk or a network interface: <c>class/block/sda</c>.</summary>
    /// <param name="below">From the function to its directory, as <c>ata1/host0/block/sda</c>.</param>
    public string AddBelow(string address, string kind, string below, params (string Name, string Text)[] attributes)
    {
        FakePciFunction function;
        lock (_gate) function = _functions[address];
        return ClassDevice(_paths, kind, $"{function.Directory}/{below}", attributes);
    }

    /// <summary>The same for what is behind no function: <c>devices/virtual/block/dm-0</c>.</summary>
    public string AddElsewhere(string kind, string path, params (string Name, string Text)[] attributes) => ClassDevice(_paths, kind, path, attributes);

    /// <inheritdoc/>
    public int Write(string path, string text)
    {
        var parts = Path.GetRelativePath(Path.Combine(_paths.Sys, "bus/pci"), path).Split('/');
        var write = new PciWrite(parts[^1], parts[^1] == "driver_override" ? parts[1] : text, parts[0] == "drivers" ? parts[1] : null, text);
        Faults.Writes.Enqueue(write);
        FakePciFunction? function;
        lock (_gate) function = _functions.GetValueOrDefault(write.Function);
        if (function is null || (write.Driver is { } driver && !_loaded.Contains(driver))) return ENODEV;
        var fault = Faults.Choose(write);
        if (fault == PciFault.Denied) return EACCES;
        function.Turn.Wait();
        try
        {
            if (fault == PciFault.Hangs) Faults.Hang();
            if (fault == PciFault.Vanishes) Remove(write.Function);
            var error = fault == PciFault.Refused ? EINVAL : fault == PciFault.Vanishes ? ENODEV : Act(write, function);
            if (fault == PciFault.HangsAfter) Faults.Hang();
            return error;
        }
        finally
        {
            function.Turn.Release();
        }
    }

    internal string DirectoryOf(PciAddress address)
    {
        lock (_gate) return Path.Combine(_paths.Sys, _functions.TryGetValue(address.Value, out var function) ? function.Directory : $"devices/pci0000:00/{address}");
    }

    private static string ClassDevice(KernelPaths paths, string kind, string path, (string Name, string Text)[] attributes)
    {
        var directory = Path.Combine(paths.Sys, path);
        Directory.CreateDirectory(directory);
        var link = Path.Combine(paths.Sys, "class", kind, Path.GetFileName(path));
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        if (!Path.Exists(link)) Directory.CreateSymbolicLink(link, $"../../{path}");
        foreach (var (name, text) in attributes)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(directory, name))!);
            File.WriteAllText(Path.Combine(directory, name), text + "\n");
        }

        return directory;
    }

    private int Act(PciWrite write, FakePciFunction function)
    {
        lock (_gate)
        {
            if (!_functions.ContainsKey(write.Function)) return ENODEV;
        }

        switch (write.File)
        {
            case "driver_override":
                function.Override = write.Text;
                ShowOverride(function);
                return 0;
            case "drivers_probe":
                Probe(function);
                return 0;
            case "unbind" when function.Driver == write.Driver:
                Release(function);
                return 0;
            case "bind" when function.Driver is not null:
                return EBUSY;
            case "bind" when function.Override == write.Driver || (function.Override.Length == 0 && function.Usual == write.Driver):
                Take(function, write.Driver!);
                return 0;
            default:
                return ENODEV;
        }
    }

    private void Probe(FakePciFunction function)
    {
        string? driver;
        lock (_gate) driver = function.Driver is null ? function.Fitting(_loaded, VfioIds) : null;
        if (driver is not null) Take(function, driver);
    }

    private void Take(FakePciFunction function, string driver)
    {
        lock (_gate)
        {
            function.Driver = driver;
            File.CreateSymbolicLink(Path.Combine(_paths.Sys, function.Directory, "driver"), $"../../../bus/pci/drivers/{driver}");
            if (driver == Vfio && function.Group is { } group) MakeNode(group);
        }

        Tell("bind", "pci", function.Address.Value);
        if (driver != Vfio) BoundToUsual(function.Address, true);
    }

    private void Release(FakePciFunction function)
    {
        string? driver;
        lock (_gate)
        {
            driver = function.Driver;
            if (driver is null) return;
            if (Held.TryRemove(function.Address.Value, out _)) LetGo.Enqueue(function.Address.Value);
            function.Driver = null;
            File.Delete(Path.Combine(_paths.Sys, function.Directory, "driver"));
            if (function.Group is { } group && !_functions.Values.Any(other => other.Group == group && other.Driver == Vfio)) File.Delete(NodeOf(group));
        }

        Tell("unbind", "pci", function.Address.Value);
        if (driver != Vfio) BoundToUsual(function.Address, false);
    }

    private void MakeNode(int group)
    {
        var node = NodeOf(group);
        if (File.Exists(node)) return;
        File.WriteAllText(node, "");
        File.SetUnixFileMode(node, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        _events.Publish(new("add", "vfio", $"/devices/virtual/vfio/{group}"));
    }

    private void Show(FakePciFunction function)
    {
        var directory = Path.Combine(_paths.Sys, function.Directory);
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "vendor"), $"0x{function.Id.Vendor:x4}\n");
        File.WriteAllText(Path.Combine(directory, "device"), $"0x{function.Id.Product:x4}\n");
        File.WriteAllText(Path.Combine(directory, "class"), $"0x{function.Class:x6}\n");
        ShowOverride(function);
        if (function.Group is { } group)
        {
            Directory.CreateSymbolicLink(Path.Combine(directory, "iommu_group"), $"../../../kernel/iommu_groups/{group}");
            Directory.CreateDirectory(Path.Combine(GroupOf(group), "devices"));
            Directory.CreateSymbolicLink(Path.Combine(GroupOf(group), "devices", function.Address.Value), $"../../../../{function.Directory}");
        }

        Directory.CreateSymbolicLink(Path.Combine(Devices, function.Address.Value), $"../../../{function.Directory}");
    }

    private void ShowOverride(FakePciFunction function) => File.WriteAllText(
        Path.Combine(_paths.Sys, function.Directory, "driver_override"), function.Override.Length > 0 ? function.Override + "\n" : "(null)\n");

    private string GroupOf(int group) => Path.Combine(_paths.Sys, "kernel/iommu_groups", $"{group}");

    private string NodeOf(int group) => Path.Combine(_paths.Dev, "vfio", $"{group}");

    private void Tell(string action, string subsystem, string address) => _events.Publish(
        new(action, subsystem, $"/devices/pci0000:00/{address}"));
}
