using System.Collections.Immutable;
using System.Globalization;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>The host's USB devices, read anew with each call. Root hubs are left out; so is what vanishes or makes no sense while it is read.</summary>
public sealed class UsbInventory(KernelPaths paths)
{
    private readonly string _devices = Path.Combine(paths.Sys, "bus/usb/devices");

    /// <summary>All devices, hubs too, ordered by port. Empty on a computer without USB.</summary>
    public ImmutableArray<UsbDevice> All() => Where(_ => true);

    /// <summary>All devices of one controller.</summary>
    public ImmutableArray<UsbDevice> Behind(PciAddress controller) => Where(port => ControllerOf(DirectoryOf(port)) == controller);

    /// <summary>Null when nothing is plugged in there.</summary>
    public UsbDevice? At(UsbPort port)
    {
        var directory = DirectoryOf(port);
        return IdIn(directory) is { } id && Number(directory, "busnum") is { } bus && Number(directory, "devnum") is { } address
            ? new(
                port, id, Text(directory, "serial"), Text(directory, "manufacturer"), Text(directory, "product"), bus, address,
                Text(directory, "bDeviceClass") == "09", ControllerOf(directory), InterfacesOf(directory, port))
            : null;
    }

    /// <summary>All devices that the match fits: none, one, or several where it says too little.</summary>
    public ImmutableArray<UsbDevice> Matching(UsbMatch match) => match is UsbMatch.ByPort byPort
        ? At(byPort.Port) is { } device ? [device] : []
        : [.. Where(port => MayFit(match, port)).Where(device => Fits(match, device))];

    /// <summary>Whether the match fits what is plugged in there, be it this device alone or several.</summary>
    public bool Fits(UsbMatch match, UsbPort port) => MayFit(match, port) && At(port) is { } device && Fits(match, device);

    /// <summary>The one device that the match fits.</summary>
    /// <param name="name">What the user calls it, for the message.</param>
    /// <exception cref="SwitchException">Refused: it isn't plugged in, several fit, or it is a hub.</exception>
    public UsbDevice Find(UsbMatch match, string name) => Matching(match) switch
    {
        [] => throw Refusal(match switch
        {
            UsbMatch.ByPort byPort => $"{name} isn't plugged in: nothing at port {byPort.Port}",
            UsbMatch.Below below => $"{name} isn't plugged in: nothing at port {below.Port} or behind a hub there",
            _ => $"{name} isn't plugged in: no device with {match}",
        }),
        [{ IsHub: true } hub] => throw Refusal($"{name} is a hub, at {hub}, and hubs can't be handed over: name a device behind it, or all of them with below = \"{hub.Port}\""),
        [var device] => device,
        var several when match is UsbMatch.Below => several[0],
        var several => throw Refusal($"{name} is ambiguous: {match} fits {string.Join(" and ", several)}; match it by its port"),
    };

    /// <summary>Told by reading little: a look is part of each hand-over, and most devices are others.</summary>
    private bool MayFit(UsbMatch match, UsbPort port) => match switch
    {
        UsbMatch.ByPort byPort => port == byPort.Port,
        UsbMatch.BySerial bySerial => Text(DirectoryOf(port), "serial") == bySerial.Serial,
        UsbMatch.ById byId => IdIn(DirectoryOf(port)) == byId.Id,
        UsbMatch.Below below => port.IsAtOrBelow(below.Port),
        _ => throw new ArgumentOutOfRangeException(nameof(match), match, "no such way to match"),
    };

    private static bool Fits(UsbMatch match, UsbDevice device) => match switch
    {
        UsbMatch.BySerial bySerial => device.Serial == bySerial.Serial && (bySerial.Id is null || device.Id == bySerial.Id),
        UsbMatch.ById byId => device.Id == byId.Id,
        UsbMatch.Below => !device.IsHub,
        _ => true,
    };

    private ImmutableArray<UsbDevice> Where(Func<UsbPort, bool> isCandidate)
    {
        var found = ImmutableArray.CreateBuilder<UsbDevice>();
        foreach (var name in SysfsPath.NamesIn(_devices))
            if (UsbPort.TryParse(name, out var port) && isCandidate(port) && At(port) is { } device) found.Add(device);
        return found.ToImmutable();
    }

    private string DirectoryOf(UsbPort port) => Path.Combine(_devices, port.Value);

    private static VidPid? IdIn(string directory) =>
        VidPid.TryParse($"{SysfsText.Read(directory, "idVendor")}:{SysfsText.Read(directory, "idProduct")}", out var id) ? id : null;

    private static SwitchException Refusal(string message) => new(Failure.Refused, message);

    private static string Text(string directory, string attribute) => SysfsText.Read(directory, attribute) ?? "";

    private static int? Number(string directory, string attribute) =>
        int.TryParse(SysfsText.Read(directory, attribute), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and < 1000
            ? number
            : null;

    // The entry is a link to ../../../devices/pci0000:00/0000:00:14.0/usb1/1-4: the controller comes before the bus.
    private static PciAddress? ControllerOf(string directory)
    {
        var parts = SysfsPath.TargetOf(directory).Split('/');
        var bus = Array.FindIndex(parts, part => part.StartsWith("usb", StringComparison.Ordinal) && part.AsSpan(3).ContainsAnyInRange('0', '9'));
        return bus > 0 && PciAddress.TryParse(parts[bus - 1], out var address) ? address : null;
    }

    private static ImmutableArray<UsbInterface> InterfacesOf(string directory, UsbPort port) =>
    [
        .. SysfsPath.NamesIn(directory)
            .Where(name => name.StartsWith($"{port}:", StringComparison.Ordinal))
            .Select(name => (Name: name, Path: Path.Combine(directory, name)))
            .Select(at => byte.TryParse(SysfsText.Read(at.Path, "bInterfaceClass"), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var kind)
                ? new UsbInterface(at.Name, kind, SysfsText.LinkName(at.Path, "driver"))
                : null)
            .OfType<UsbInterface>(),
    ];
}
