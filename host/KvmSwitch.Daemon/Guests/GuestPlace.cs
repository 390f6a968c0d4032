using System.Globalization;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>
/// Where in a guest a device arrives: known to the host beforehand, and told by the agent with each sighting. Places are equal when they
/// are written alike, so write PCI addresses in full and in lower case.
/// </summary>
/// <param name="Controller">PCI address in the guest; null when it isn't known.</param>
/// <param name="Port">The place below that, in the words of GuestDevice.port.</param>
internal readonly record struct GuestPlace(GuestBus Bus, string? Controller, string Port)
{
    /// <param name="controller">The USB controller, as <c>0000:00:04.0</c>; null when it isn't known.</param>
    public static GuestPlace Usb(int port, string? controller) => new(GuestBus.Usb, controller, Text($"{port}"));

    /// <param name="rootPort">The root port that the function is added to, as <c>0000:00:18.1</c>; null when it isn't known.</param>
    /// <param name="slot">0 on a root port.</param>
    public static GuestPlace Pci(string? rootPort, int slot = 0, int function = 0) => new(GuestBus.Pci, rootPort, Text($"{slot:x2}.{function:x}"));

    /// <param name="controller">The SCSI controller, as <c>0000:00:05.0</c>; null when it isn't known.</param>
    /// <param name="target">QEMU's <c>scsi-id</c>.</param>
    public static GuestPlace Scsi(string? controller, int target, int channel = 0, int lun = 0) =>
        new(GuestBus.Scsi, controller, Text($"{channel}:{target}:{lun}"));

    /// <summary>The sighting is of this place, as far as the agent told its place. Only on USB may it leave out the controller that we know.</summary>
    public bool Covers(GuestDevice device) =>
        IsBusOf(device) && Port == device.Port
        && (Controller is null || Same(Controller, device.Controller) || (Bus == GuestBus.Usb && device.Controller.Length == 0));

    /// <summary>A bus that only a newer agent knows is none of ours.</summary>
    public bool IsBusOf(GuestDevice device) => device.Bus switch
    {
        GuestDevice.Types.Bus.Unspecified or GuestDevice.Types.Bus.Usb => Bus == GuestBus.Usb,
        GuestDevice.Types.Bus.Pci => Bus == GuestBus.Pci,
        GuestDevice.Types.Bus.Scsi => Bus == GuestBus.Scsi,
        _ => false,
    };

    internal static bool Same(string a, string b) => string.Equals(a, b, StringComparison.OrdinalIgnoreCase);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
