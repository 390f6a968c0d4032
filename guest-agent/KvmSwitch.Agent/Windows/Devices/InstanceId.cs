using System.Globalization;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>
/// A device instance id: enumerator, device and instance, with a backslash between them
/// (learn.microsoft.com/windows-hardware/drivers/install/device-instance-ids, …/standard-usb-identifiers, …/identifiers-for-pci-devices).
/// </summary>
internal readonly record struct InstanceId(string Enumerator, string Device, string Instance)
{
    /// <summary>Null when it is none.</summary>
    public static InstanceId? TryParse(string text) => text.Split('\\') is [{ Length: > 0 } bus, { Length: > 0 } device, { Length: > 0 } instance]
        ? new(bus.ToUpperInvariant(), device.ToUpperInvariant(), instance)
        : null;

    /// <summary>Vendor and product of a USB device; null for a root hub, an interface of a composite device, or garbage.</summary>
    public (ushort Vendor, ushort Product)? Usb =>
        Enumerator == "USB" && Field("MI_") is null && Number("VID_", 4) is { } vendor && Number("PID_", 4) is { } product
            ? ((ushort)vendor, (ushort)product)
            : null;

    public (ushort Vendor, ushort Device)? Pci =>
        Enumerator == "PCI" && Number("VEN_", 4) is { } vendor && Number("DEV_", 4) is { } device ? ((ushort)vendor, (ushort)device) : null;

    /// <summary>An optical drive: <c>SCSI\CDROM&amp;VEN_…</c>.</summary>
    public bool IsOptical => Enumerator == "SCSI" && (Device == "CDROM" || Device.StartsWith("CDROM&", StringComparison.Ordinal));

    /// <summary>The device's own serial number; empty where Windows made the instance up, which shows in an ampersand as its second character.</summary>
    public string Serial => Instance.Contains('&', StringComparison.Ordinal) ? "" : Instance;

    /// <summary>A number in hexadecimal of this many digits behind a prefix, as in <c>VID_046D</c>.</summary>
    public uint? Number(string prefix, int digits) =>
        Field(prefix) is { } field && field.Length == digits
        && uint.TryParse(field, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) ? number : null;

    private string? Field(string prefix) =>
        Device.Split('&').FirstOrDefault(part => part.StartsWith(prefix, StringComparison.Ordinal)) is { } part ? part[prefix.Length..] : null;
}
