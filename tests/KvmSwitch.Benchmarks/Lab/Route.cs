using System.Text.Json.Nodes;

namespace KvmSwitch.Benchmarks.Lab;

/// <summary>One route of the product with a device of the lab, and how the same is done by hand.</summary>
/// <param name="name">The route's word.</param>
/// <param name="device">Its name in the benchmark's configuration.</param>
internal abstract class Route(BenchHost host, string name, string device)
{
    /// <summary>QEMU's id of what is done by hand: none that the daemon would take for its own.</summary>
    protected const string Floor = "floor";

    /// <summary>A descriptor set that nobody else uses.</summary>
    protected const int Set = 900;

    public string Name => name;

    public string Device => device;

    /// <summary>What is heard when the guest has it; nothing for a route that no guest reports.</summary>
    public virtual IReadOnlyList<string> SeenThere => [];

    /// <summary>What is heard later still, when what is behind it works in the guest.</summary>
    public virtual IReadOnlyList<string> BehindThere => [];

    /// <summary>What is heard when the host has it again.</summary>
    public virtual IReadOnlyList<string> SeenHome => [];

    /// <summary>What is heard when the guest knows that it has gone: before that, nothing new begins.</summary>
    public virtual IReadOnlyList<string> Left => [];

    protected BenchHost Host => host;

    protected string OurId => $"kvmswitch-device-{device}";

    /// <summary>Called while the guest has the device: notes where, so that the hand puts it into the same place.</summary>
    public abstract Task LearnAsync(CancellationToken cancellation);

    /// <summary>Gives it by hand, until the guest's watcher has seen it.</summary>
    public abstract Task<IReadOnlyList<string>> GiveAsync(CancellationToken cancellation);

    /// <summary>Takes it by hand, until QEMU has let go and the host's kernel has its drivers bound.</summary>
    public abstract IReadOnlyList<string> Take();

    /// <summary>The QEMU bus that the device is on.</summary>
    protected async Task<string> BusAsync(CancellationToken cancellation) =>
        (await PropertyAsync("parent_bus", cancellation)).GetValue<string>().Split('/')[^1];

    protected async Task<JsonNode> PropertyAsync(string property, CancellationToken cancellation)
    {
        var laps = await host.Watch.DoAsync(
            [Command.Send("qom-get", new() { ["path"] = $"/machine/peripheral/{OurId}", ["property"] = property })], cancellation);
        return laps[0].Json["return"]!;
    }
}

/// <summary>A keyboard by usb-host and a descriptor.</summary>
/// <param name="port">Its port on the host.</param>
internal sealed class UsbRoute(BenchHost host, string device, string port) : Route(host, "usb", device)
{
    private string _bus = "", _guestPort = "";

    public override IReadOnlyList<string> SeenThere => [Command.Guest("\"present\"", "\"bus\":\"usb\"", "\"ready\":true")];

    public override IReadOnlyList<string> SeenHome => [Command.Bound($"/{port}:1.0", "usbhid")];

    public override IReadOnlyList<string> Left => [Command.Guest("\"gone\"", "\"bus\":\"usb\"")];

    public override async Task LearnAsync(CancellationToken cancellation) =>
        (_bus, _guestPort) = (await BusAsync(cancellation), (await PropertyAsync("port", cancellation)).GetValue<string>());

    public override async Task<IReadOnlyList<string>> GiveAsync(CancellationToken cancellation)
    {
        // Its address changes with each reset.
        var node = await Host.Shell.RunAsync($"cd /sys/bus/usb/devices/{port} && printf '/dev/bus/usb/%03d/%03d' $(cat busnum devnum)", cancellation);
        var properties = new JsonObject
        {
            ["driver"] = "usb-host", ["id"] = Floor, ["bus"] = _bus, ["port"] = _guestPort, ["hostdevice"] = $"/dev/fdset/{Set}",
        };
        return [Command.Lend(node, forWriting: true, Set), Command.Send("device_add", properties), Command.Unlend(Set), .. SeenThere];
    }

    public override IReadOnlyList<string> Take() =>
        [Command.Send("device_del", new() { ["id"] = Floor }), Command.Deleted(Floor), .. SeenHome];
}

/// <summary>A whole controller by vfio-pci, with a keyboard behind it.</summary>
internal sealed class ControllerRoute(BenchHost host, string device, string address) : Route(host, "controller", device)
{
    private const string Drivers = "/sys/bus/pci/drivers";
    private const string Probe = "/sys/bus/pci/drivers_probe";
    private readonly string _override = $"/sys/bus/pci/devices/{address}/driver_override";
    private string _bus = "", _group = "", _driver = "";

    public override IReadOnlyList<string> SeenThere => [Command.Guest("\"present\"", "\"bus\":\"pci\"", "\"ready\":true")];

    public override IReadOnlyList<string> BehindThere => [Command.Guest("\"present\"", "\"bus\":\"usb\"", "\"ready\":true")];

    public override IReadOnlyList<string> SeenHome => [Command.Bound($"/{address}/", "usbhid")];

    public override IReadOnlyList<string> Left => [Command.Guest("\"gone\"", "\"bus\":\"pci\"")];

    public override async Task LearnAsync(CancellationToken cancellation)
    {
        _bus = await BusAsync(cancellation);
        _group = await Host.Shell.RunAsync($"basename $(readlink /sys/bus/pci/devices/{address}/iommu_group)", cancellation);
        _driver = "xhci_hcd";
    }

    public override Task<IReadOnlyList<string>> GiveAsync(CancellationToken cancellation)
    {
        var properties = new JsonObject { ["driver"] = "vfio-pci", ["id"] = Floor, ["bus"] = _bus, ["host"] = address };
        return Task.FromResult<IReadOnlyList<string>>(
        [
            Command.Write(_override, "vfio-pci"), Command.Write($"{Drivers}/{_driver}/unbind", address), Command.Write(Probe, address),
            Command.Own($"/dev/vfio/{_group}", Host.QemuUser, Host.QemuGroup), Command.LockMemory(Host.QemuPid),
            Command.Send("device_add", properties), .. SeenThere,
        ]);
    }

    public override IReadOnlyList<string> Take() =>
    [
        Command.Send("device_del", new() { ["id"] = Floor }), Command.Deleted(Floor),
        Command.Write(_override, ""), Command.Write($"{Drivers}/vfio-pci/unbind", address), Command.Write(Probe, address), .. SeenHome,
    ];
}

/// <summary>A drive with a disc by SCSI passthrough.</summary>
internal sealed class OpticalRoute(BenchHost host, string device, string node) : Route(host, "optical", device)
{
    private string _bus = "";
    private JsonNode _target = 0;

    public override IReadOnlyList<string> SeenThere => [Command.Guest("\"present\"", "\"bus\":\"scsi\"")];

    public override IReadOnlyList<string> SeenHome => [Command.Free(node)];

    public override IReadOnlyList<string> Left => [Command.Guest("\"gone\"", "\"bus\":\"scsi\"")];

    public override async Task LearnAsync(CancellationToken cancellation) =>
        (_bus, _target) = (await BusAsync(cancellation), (await PropertyAsync("scsi-id", cancellation)).DeepClone());

    public override Task<IReadOnlyList<string>> GiveAsync(CancellationToken cancellation)
    {
        var block = new JsonObject { ["driver"] = "host_device", ["node-name"] = "floor-node", ["filename"] = $"/dev/fdset/{Set}", ["read-only"] = true };
        var drive = new JsonObject
        {
            ["driver"] = "scsi-block", ["id"] = Floor, ["bus"] = _bus, ["scsi-id"] = _target.DeepClone(), ["drive"] = "floor-node",
        };
        return Task.FromResult<IReadOnlyList<string>>(
        [
            Command.Lend(node, forWriting: false, Set), Command.Send("blockdev-add", block), Command.Unlend(Set),
            Command.Send("device_add", drive), .. SeenThere,
        ]);
    }

    public override IReadOnlyList<string> Take() =>
    [
        Command.Send("device_del", new() { ["id"] = Floor }), Command.Deleted(Floor),
        Command.Send("blockdev-del", new() { ["node-name"] = "floor-node" }), .. SeenHome,
    ];
}

/// <summary>A keyboard by relay; by hand QEMU takes its node itself, and gives it up again.</summary>
/// <param name="node">Its node on the host.</param>
internal sealed class InputRoute(BenchHost host, string device, string node) : Route(host, "input", device)
{
    public override Task LearnAsync(CancellationToken cancellation) => Task.CompletedTask;

    public override Task<IReadOnlyList<string>> GiveAsync(CancellationToken cancellation) => Task.FromResult<IReadOnlyList<string>>(
    [
        Command.Own(node, Host.QemuUser, Host.QemuGroup),
        Command.Send("object-add", new() { ["qom-type"] = "input-linux", ["id"] = Floor, ["evdev"] = node }),
    ]);

    public override IReadOnlyList<string> Take() => [Command.Send("object-del", new() { ["id"] = Floor })];
}
