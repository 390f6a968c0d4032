using System.Globalization;
using KvmSwitch.Agent.Devices;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Finds the devices that a host may have plugged in among all nodes of Windows. Pure.</summary>
internal sealed class NodeTree
{
    // UHCI, OHCI, EHCI and xHCI.
    private const uint FirstUsbHost = 0x0c0300;
    private const uint LastUsbHost = 0x0c0330;
    private const uint BridgeBaseClass = 0x06;
    private const string HidService = "HidUsb";
    private const int LongestKey = 128;

    private readonly IReadOnlyList<DeviceNode> nodes;
    private readonly ILookup<string, DeviceNode> children;
    private readonly Dictionary<string, string> addresses = new(StringComparer.Ordinal);

    public NodeTree(IReadOnlyList<DeviceNode> nodes)
    {
        this.nodes = nodes;
        children = nodes.ToLookup(node => node.Parent, StringComparer.OrdinalIgnoreCase);
        foreach (var node in nodes)
        {
            if (node.BusNumber is { } bus && InstanceId.TryParse(node.Id)?.Pci is not null && LocationPath.Find(node.LocationPaths) is { Functions: [.., var place] } path)
                addresses[path.Key] = Address(bus, place);
        }
    }

    public DeviceSnapshot Devices() => new(nodes.Select(Describe).OfType<AttachedDevice>());

    /// <summary>The key of a node: its id, cut where it is longer than a host takes.</summary>
    public static string KeyOf(string id) => id.Length <= LongestKey ? id : id[..LongestKey];

    private AttachedDevice? Describe(DeviceNode node) => InstanceId.TryParse(node.Id) switch
    {
        { Usb: { } usb } id => Usb(node, id, usb.Vendor, usb.Product),
        { Pci: { } pci } => Pci(node, pci.Vendor, pci.Device),
        { IsOptical: true } => Optical(node),
        _ => null,
    };

    private AttachedDevice? Usb(DeviceNode node, InstanceId id, ushort vendor, ushort product)
    {
        if (IsHub(node))
            return null;
        var path = LocationPath.Find(node.LocationPaths);
        return new(
            KeyOf(node.Id), vendor, product, id.Serial, path is null ? "" : AddressOf(path.Controller()), path is null ? "" : string.Join('.', path.Ports),
            IsUsable(node), Clean(node.Name), Stay(node));
    }

    private AttachedDevice? Pci(DeviceNode node, ushort vendor, ushort device)
    {
        var kind = ClassOf(node);
        if (kind >> 16 == BridgeBaseClass || LocationPath.Find(node.LocationPaths) is not { Functions: [_, .., var place] } path)
            return null;
        var ready = node.IsStarted && (kind is < FirstUsbHost or > LastUsbHost || children[node.Id].Any(child => IsRootHub(child) && child.IsStarted));
        var name = string.Create(CultureInfo.InvariantCulture, $"PCI class {kind:x6}");
        return new(KeyOf(node.Id), vendor, device, "", AddressOf(path.Above()), Port(place), ready, node.Name.Length > 0 ? Clean(node.Name) : name, Stay(node))
        {
            Bus = DeviceBus.Pci,
            PciClass = kind,
        };
    }

    private AttachedDevice? Optical(DeviceNode node)
    {
        if (ScsiPlace.Of(node) is not { } place)
            return null;
        var controller = LocationPath.Find(node.LocationPaths) ?? LocationPath.Find(nodes.FirstOrDefault(one => Same(one.Id, node.Parent))?.LocationPaths ?? []);
        return new(
            KeyOf(node.Id), 0, 0, "", controller is null ? "" : AddressOf(controller.Controller()), place.ToString(), node.IsStarted, Clean(node.Name), Stay(node))
        {
            Bus = DeviceBus.Scsi,
        };
    }

    /// <summary>Its driver runs, and, where it is or has a human interface device, one of those does.</summary>
    private bool IsUsable(DeviceNode node)
    {
        if (!node.IsStarted)
            return false;
        var below = Below(node).ToArray();
        var isHid = below.Append(node).Any(one => Same(one.Service, HidService));
        return !isHid || below.Any(one => one.IsStarted && one.Id.StartsWith(@"HID\", StringComparison.OrdinalIgnoreCase));
    }

    // A device below one of these would be behind a hub, and a device of its own.
    private IEnumerable<DeviceNode> Below(DeviceNode node) => children[node.Id]
        .Where(child => InstanceId.TryParse(child.Id)?.Usb is null)
        .SelectMany(child => Below(child).Prepend(child));

    private static bool IsHub(DeviceNode node) =>
        node.Service.StartsWith("usbhub", StringComparison.OrdinalIgnoreCase)
        || node.CompatibleIds.Any(id => id.StartsWith(@"USB\Class_09", StringComparison.OrdinalIgnoreCase));

    private static bool IsRootHub(DeviceNode node) => node.Id.StartsWith(@"USB\ROOT_HUB", StringComparison.OrdinalIgnoreCase);

    /// <summary>The class code that the hardware ids tell: <c>PCI\VEN_8086&amp;DEV_7AE0&amp;CC_0C0330</c>; 0 where they don't.</summary>
    private static uint ClassOf(DeviceNode node) => node.HardwareIds.Concat(node.CompatibleIds)
        .Select(id => InstanceId.TryParse(id + @"\0")?.Number("CC_", 6))
        .FirstOrDefault(kind => kind is not null) ?? 0;

    private string AddressOf(LocationPath path)
    {
        if (addresses.TryGetValue(path.Key, out var known))
            return known;
        // On the root bus its number is known without the bus's word.
        return path is { Root: 0, Functions: [var only] } ? Address(0, only) : "";
    }

    private static string Address(uint bus, (int Slot, int Function) place) => string.Create(CultureInfo.InvariantCulture, $"0000:{bus:x2}:{Port(place)}");

    private static string Port((int Slot, int Function) place) => string.Create(CultureInfo.InvariantCulture, $"{place.Slot:x2}.{place.Function:x}");

    private static int Stay(DeviceNode node) => node.Arrival.GetHashCode();

    private static bool Same(string a, string b) => string.Equals(a, b, StringComparison.OrdinalIgnoreCase);

    private static string Clean(string text) => string.Concat(text.Where(one => !char.IsControl(one))).Trim();
}
