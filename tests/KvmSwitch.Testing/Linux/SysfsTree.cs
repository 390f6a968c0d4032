using System.Collections.Concurrent;
using System.Globalization;
using KvmSwitch.Core;
using KvmSwitch.Linux;

namespace KvmSwitch.Testing.Linux;

/// <summary>
/// A directory that looks and behaves like the kernel's USB: devices with their interfaces, driver links and nodes, hubs, addresses
/// that change with each plugging in, drivers_probe that binds what is written to it, and the events that go with all that.
/// </summary>
public sealed class SysfsTree : IDisposable
{
    public const byte Audio = 0x01;
    public const byte Hid = 0x03;
    public const byte Storage = 0x08;
    public const byte Hub = 0x09;
    public const byte VendorSpecific = 0xff;

    private const string Usbfs = "usbfs";
    private readonly Lock _gate = new();
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("kvmswitch-sysfs-");
    private readonly Dictionary<string, FakeUsbDevice> _plugged = new(StringComparer.Ordinal);
    private readonly DriversProbe _probe;
    private readonly UeventHub _events = new();
    private readonly UsbBuses _buses;
    private int _lastAddress = 1;

    public SysfsTree()
    {
        Paths = new(Path.Combine(_root.FullName, "sys"), Path.Combine(_root.FullName, "dev"), Path.Combine(_root.FullName, "run"))
        {
            Proc = Path.Combine(_root.FullName, "proc"),
        };
        Directory.CreateDirectory(Devices);
        Directory.CreateDirectory(Paths.Run);
        _probe = new(Path.Combine(Paths.Sys, "bus/usb/drivers_probe"), Probe);
        Pci = new(Paths, _events);
        _buses = new(this, Pci);
    }

    public KernelPaths Paths { get; }

    /// <summary>PCI functions, their drivers and IOMMU groups; none at first.</summary>
    public PciTree Pci { get; }

    /// <summary>What the kernel would tell of the changes made here.</summary>
    public IUeventSource Events => _events;

    /// <summary>Which driver binds to an interface class. Take one out, and it is as if its module were missing.</summary>
    public ConcurrentDictionary<byte, string> Drivers { get; } = new(new Dictionary<byte, string>
    {
        [Audio] = "snd-usb-audio", [Hid] = "usbhid", [Storage] = "usb-storage", [Hub] = "hub",
    });

    /// <summary>The names that were written to drivers_probe, in order.</summary>
    public ConcurrentQueue<string> Probed { get; } = new();

    private string Devices => Path.Combine(Paths.Sys, "bus/usb/devices");

    /// <summary>Plugs a device in. Its interfaces are bound as <see cref="Drivers"/> say.</summary>
    /// <param name="classes">One for each interface; none: a single hid interface.</param>
    public void Add(string port, string id, string serial = "", string product = "", params byte[] classes) =>
        Plug(new(UsbPort.Parse(port), VidPid.Parse(id), serial, product, IsHub: false, classes.Length > 0 ? [.. classes] : [Hid]));

    public void AddHub(string port) => Plug(new(UsbPort.Parse(port), new(0x1d6b, 0x0002), "", "Hub", IsHub: true, [Hub]));

    /// <summary>
    /// Says that a USB controller of <see cref="Pci"/> has this bus. Its devices leave when its driver lets go of it, and come back some
    /// time after a driver has it again.
    /// </summary>
    public void AddBus(string controller, int bus) => _buses.Add(PciAddress.Parse(controller), bus);

    public void Unplug(string port)
    {
        lock (_gate)
        {
            var device = _plugged[port];
            _plugged.Remove(port);
            File.Delete(Path.Combine(Devices, port));
            for (var i = 0; i < device.Classes.Length; i++) File.Delete(Path.Combine(Devices, device.Interface(i)));
            Directory.Delete(DirectoryOf(device), recursive: true);
            File.Delete(NodeOf(device));
        }

        Tell("remove", port);
    }

    /// <summary>The same device again, at a new address, as after a reset or a new plugging in.</summary>
    public void Replug(string port)
    {
        FakeUsbDevice device;
        lock (_gate) device = _plugged[port];
        Unplug(port);
        Plug(device);
    }

    /// <summary>A program takes all interfaces from their drivers, as QEMU does when it is given the device.</summary>
    public void Claim(string port) => ForInterfaces(port, (device, i) =>
    {
        UnbindNow(device, i);
        BindNow(device, i, Usbfs);
    });

    /// <summary>The program lets go cleanly: the drivers are bound again, as after device_del, quit or SIGTERM.</summary>
    public void Release(string port) => ForInterfaces(port, (device, i) =>
    {
        UnbindNow(device, i);
        BindDefault(device, i);
    });

    /// <summary>The program died by SIGKILL: what it held is left without a driver.</summary>
    public void Abandon(string port) => ForInterfaces(port, UnbindNow);

    public void Bind(string port, int interfaceNumber, string driver) => ForOne(port, interfaceNumber, (device, i) =>
    {
        UnbindNow(device, i);
        BindNow(device, i, driver);
    });

    public void Unbind(string port, int interfaceNumber) => ForOne(port, interfaceNumber, UnbindNow);

    public string? DriverOf(string port, int interfaceNumber)
    {
        lock (_gate)
        {
            return _plugged.TryGetValue(port, out var device) ? Path.GetFileName(new FileInfo(LinkOf(device, interfaceNumber)).LinkTarget) : null;
        }
    }

    /// <summary>Changes one attribute of a device, as <c>devnum</c> or <c>product</c>, without telling anybody.</summary>
    public void SetAttribute(string port, string name, string value)
    {
        lock (_gate)
        {
            // A reader of sysfs never finds half an attribute.
            var path = Path.Combine(DirectoryOf(_plugged[port]), name);
            File.WriteAllText(path + ".new", value + "\n");
            File.Move(path + ".new", path, overwrite: true);
        }
    }

    public void Dispose()
    {
        _probe.Dispose();
        _buses.Dispose();
        _root.Delete(recursive: true);
    }

    /// <summary>Takes all devices off a bus, to be plugged in again later.</summary>
    internal FakeUsbDevice[] Clear(int bus)
    {
        FakeUsbDevice[] devices;
        lock (_gate) devices = [.. _plugged.Values.Where(device => device.Bus == bus).OrderBy(device => device.Port.Value, StringComparer.Ordinal)];
        foreach (var device in devices.Reverse()) Unplug(device.Port.Value);
        return devices;
    }

    internal void Plug(FakeUsbDevice device)
    {
        lock (_gate)
        {
            device = device with { Address = ++_lastAddress };
            _plugged.Add(device.Port.Value, device);
            Directory.CreateDirectory(Path.GetDirectoryName(NodeOf(device))!);
            File.WriteAllText(NodeOf(device), "");
            device.WriteTo(DirectoryOf(device));
            for (var i = 0; i < device.Classes.Length; i++) Link(device.Interface(i), device);
            Link(device.Port.Value, device);
        }

        Tell("add", device.Port.Value);
        ForInterfaces(device.Port.Value, BindDefault);
    }

    private void Link(string name, FakeUsbDevice device) => Directory.CreateSymbolicLink(
        Path.Combine(Devices, name),
        Path.Combine("../../..", Path.GetRelativePath(Paths.Sys, DirectoryOf(device)), name == device.Port.Value ? "" : name).TrimEnd('/'));

    private void Probe(string name)
    {
        Probed.Enqueue(name);
        var port = name.Split(':')[0];
        ForInterfaces(port, (device, i) =>
        {
            if (device.Interface(i) == name) BindDefault(device, i);
        });
    }

    private void BindDefault(FakeUsbDevice device, int i)
    {
        if (Drivers.TryGetValue(device.Classes[i], out var driver)) BindNow(device, i, driver);
    }

    private void BindNow(FakeUsbDevice device, int i, string driver)
    {
        if (new FileInfo(LinkOf(device, i)).LinkTarget is not null) return;
        File.CreateSymbolicLink(LinkOf(device, i), $"../../../../../../bus/usb/drivers/{driver}");
        Tell("bind", device.Interface(i));
    }

    private void UnbindNow(FakeUsbDevice device, int i)
    {
        if (new FileInfo(LinkOf(device, i)).LinkTarget is null) return;
        File.Delete(LinkOf(device, i));
        Tell("unbind", device.Interface(i));
    }

    private void ForOne(string port, int number, Action<FakeUsbDevice, int> act) => ForInterfaces(port, (device, i) =>
    {
        if (i == number) act(device, i);
    });

    private void ForInterfaces(string port, Action<FakeUsbDevice, int> act)
    {
        lock (_gate)
        {
            if (!_plugged.TryGetValue(port, out var device)) return;
            for (var i = 0; i < device.Classes.Length; i++) act(device, i);
        }
    }

    private void Tell(string action, string name) => _events.Publish(
        new(action, "usb", $"/devices/pci0000:00/0000:00:14.0/usb1/{name}"));

    private string DirectoryOf(FakeUsbDevice device) => Path.Combine(_buses.DirectoryOf(device.Bus), device.Port.Value);

    private string NodeOf(FakeUsbDevice device) => Path.Combine(
        Paths.Dev, string.Create(CultureInfo.InvariantCulture, $"bus/usb/{device.Bus:000}/{device.Address:000}"));

    private string LinkOf(FakeUsbDevice device, int i) => Path.Combine(DirectoryOf(device), device.Interface(i), "driver");
}
