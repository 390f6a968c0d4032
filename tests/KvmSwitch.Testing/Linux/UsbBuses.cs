using System.Collections.Concurrent;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Linux;

/// <summary>Which controller has which USB bus, and what becomes of the devices on it when the controller's driver goes and comes.</summary>
internal sealed class UsbBuses : IDisposable
{
    private static readonly PciAddress Usual = PciAddress.Parse("0000:00:14.0");
    private readonly Lock _gate = new();
    private readonly SysfsTree _tree;
    private readonly PciTree _pci;
    private readonly ConcurrentDictionary<int, PciAddress> _controllers = new();
    private readonly Dictionary<int, FakeUsbDevice[]> _away = [];
    private bool _over;

    public UsbBuses(SysfsTree tree, PciTree pci)
    {
        (_tree, _pci) = (tree, pci);
        pci.BoundToUsual = (function, isBound) =>
        {
            foreach (var bus in BusesOf(function))
            {
                if (isBound) ThreadPool.QueueUserWorkItem(_ => Return(function, bus));
                else Leave(bus);
            }
        };
    }

    public void Add(PciAddress controller, int bus)
    {
        _controllers[bus] = controller;
        Return(controller, bus);
    }

    public string DirectoryOf(int bus) => Path.Combine(_pci.DirectoryOf(_controllers.GetValueOrDefault(bus, Usual)), $"usb{bus}");

    /// <summary>What still waits to be enumerated never is.</summary>
    public void Dispose()
    {
        lock (_gate) _over = true;
    }

    private int[] BusesOf(PciAddress controller) => [.. _controllers.Where(pair => pair.Value == controller).Select(pair => pair.Key)];

    private void Leave(int bus)
    {
        lock (_gate)
        {
            var root = DirectoryOf(bus);
            if (!Directory.Exists(root)) return;
            _away[bus] = _tree.Clear(bus);
            Directory.Delete(root, recursive: true);
        }
    }

    private void Return(PciAddress controller, int bus)
    {
        lock (_gate)
        {
            // It may have been unbound, or unplugged, before its bus was enumerated.
            if (_over || _pci.DriverOf(controller.Value) is null or PciTree.Vfio || Directory.Exists(DirectoryOf(bus))) return;
            var hub = Path.Combine(DirectoryOf(bus), $"{bus}-0:1.0");
            Directory.CreateDirectory(hub);
            File.CreateSymbolicLink(Path.Combine(hub, "driver"), "../../../../../bus/usb/drivers/hub");
            if (_away.Remove(bus, out var devices)) foreach (var device in devices) _tree.Plug(device);
        }
    }
}
