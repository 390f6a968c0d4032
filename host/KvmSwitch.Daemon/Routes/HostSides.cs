using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.Daemon.Routes;

/// <summary>The host's side of every route, and what it needs from the kernel. Input is read only where something wants it.</summary>
internal sealed partial class HostSides : IAsyncDisposable
{
    private readonly VirtualHostSide _emulated = new();
    private readonly DriverMemory _drivers;
    private readonly UsbHostSide _usb;
    private readonly ControllerHostSide _controllers;
    private readonly OpticalHostSide _drives;
    private readonly InputHostSide? _relays;
    private readonly UsbInventory _inventory;
    private readonly HostKeyboards _keyboards;

    private HostSides(KernelPaths paths, UeventMonitor uevents, DriverMemory drivers, HostInput? input, TimeProvider clock)
    {
        (Uevents, Input, _drivers) = (uevents, input, drivers);
        var storage = new StorageRelease(paths, () => new BusConnection(BusConnection.SystemAddress(paths), clock), clock);
        _inventory = new(paths);
        _keyboards = new(paths);
        _usb = new(paths, uevents, storage, clock);
        _controllers = new(paths, uevents, drivers, new SysfsWriter(), new ProcessLimits(), clock);
        _drives = new(paths, uevents, storage, clock);
        _relays = input is null ? null : new(input);
        Discs = new(paths, uevents, clock);
    }

    public UeventMonitor Uevents { get; }

    /// <summary>Null when neither a device nor a hotkey needs it.</summary>
    public HostInput? Input { get; }

    public DiscWatch Discs { get; }

    /// <param name="listens">Input is read also where no device is relayed.</param>
    /// <exception cref="SwitchException">The remembered drivers can't be read.</exception>
    /// <exception cref="IOException">The kernel doesn't let us listen to its events.</exception>
    public static async Task<HostSides> OpenAsync(
        KernelPaths paths, string driverMemory, ImmutableArray<Device> devices, bool listens, TimeProvider clock, ILogger log,
        CancellationToken cancellationToken)
    {
        var drivers = DriverMemory.Open(driverMemory);
        var uevents = UeventMonitor.Start(paths);
        try
        {
            var input = listens || devices.Any(device => device.Route is DeviceRoute.Input)
                ? await HostInput.StartAsync(new LinuxInput(paths), uevents, devices, clock, warning => LogInput(log, warning), cancellationToken)
                : null;
            return new(paths, uevents, drivers, input, clock);
        }
        catch
        {
            await uevents.DisposeAsync();
            drivers.Dispose();
            throw;
        }
    }

    public IHostSide Of(Device device) => device.Route switch
    {
        DeviceRoute.Usb => _usb,
        DeviceRoute.Controller => _controllers,
        DeviceRoute.Optical => _drives,
        DeviceRoute.Input => _relays!,
        _ => _emulated,
    };

    /// <summary>The host has a physical keyboard now.</summary>
    public bool HasKeyboard => !_keyboards.All().IsEmpty;

    /// <summary>Whether a keyboard that works stays on the host when these devices leave it. One that has none loses none.</summary>
    public Task<bool> KeepsKeyboardAsync(ImmutableArray<Device> leaving, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            var keyboards = _keyboards.All();
            var ports = leaving.Select(device => device.Route).OfType<DeviceRoute.Usb>()
                .SelectMany(route => _inventory.Matching(route.Match)).Select(device => device.Port).ToHashSet();
            var functions = leaving.Select(device => device.Route).OfType<DeviceRoute.Controller>().SelectMany(route => route.Functions).ToHashSet();
            return keyboards.IsEmpty
                || keyboards.Any(keyboard => !(keyboard.Port is { } port && ports.Contains(port)) && !keyboard.Functions.Any(functions.Contains));
        },
        cancellationToken);

    /// <summary>The devices that have just been plugged in there.</summary>
    public IEnumerable<DeviceId> At(UsbPort port, ImmutableArray<Device> devices) => devices
        .Where(device => device.Route switch
        {
            DeviceRoute.Usb usb => _inventory.Fits(usb.Match, port),
            DeviceRoute.Input { Match: InputMatch.ByPort match } => match.Port == port,
            _ => false,
        })
        .Select(device => device.Id);

    public async ValueTask DisposeAsync()
    {
        if (Input is not null) await Input.DisposeAsync();
        await Uevents.DisposeAsync();
        _drivers.Dispose();
    }

    [LoggerMessage(1400, LogLevel.Warning, "{Warning}")]
    private static partial void LogInput(ILogger log, string warning);
}
