using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;
using Device = KvmSwitch.Core.Device;

namespace KvmSwitch.Daemon.Guests;

/// <summary>A device that the agent reported.</summary>
/// <param name="CountsFrom">Before this moment the report may be about what was at that place before. <see cref="Never"/>: it surely is.</param>
internal sealed record Sighting(GuestDevice Device, TimeSpan CountsFrom)
{
    public static readonly TimeSpan Never = TimeSpan.MaxValue;
}

/// <summary>
/// What one guest has, as its agent told it. A sighting of an earlier give must not confirm a later one: when a device has left and its
/// sighting is still here, or a confirmation was waited for in vain, the place is in doubt. The agent's word that the old one is gone
/// ends the doubt; so does the length of a lease, because whatever was on its way then has arrived or the lease was lost.
/// Moments are of the monotonic clock.
/// </summary>
internal sealed record GuestView(ImmutableDictionary<string, Sighting> Devices, ImmutableDictionary<GuestPlace, TimeSpan> Doubts)
{
    // PCI class codes of UHCI, OHCI, EHCI and xHCI.
    private const uint FirstUsbHost = 0x0c0300;
    private const uint LastUsbHost = 0x0c0330;

    public static readonly GuestView Empty = new(
        ImmutableDictionary<string, Sighting>.Empty, ImmutableDictionary<GuestPlace, TimeSpan>.Empty);

    public GuestView Present(GuestDevice device, TimeSpan now)
    {
        var from = Doubts.Where(d => d.Key.Covers(device)).Select(d => d.Value).Append(now).Max();
        return this with { Devices = Devices.SetItem(device.Key, new(device, from)) };
    }

    public GuestView Gone(string key) => Devices.TryGetValue(key, out var old)
        ? new(Devices.Remove(key), Doubts.RemoveRange(Doubts.Keys.Where(place => place.Covers(old.Device))))
        : this;

    /// <summary>QEMU has let go of the device there: what is still sighted there is the old one.</summary>
    /// <param name="identity">
    /// Only what could be this device: where controllers aren't known, ports of the same number on another one look like the same place.
    /// </param>
    public GuestView Left(GuestPlace place, GuestIdentity identity, TimeSpan doubtUntil)
    {
        var stale = Devices.Where(d => place.Covers(d.Value.Device) && IsOf(d.Value.Device, identity)).ToList();
        return stale.Count == 0 ? this : new(
            Devices.SetItems(stale.Select(d => KeyValuePair.Create(d.Key, d.Value with { CountsFrom = Sighting.Never }))),
            Doubts.SetItem(place, doubtUntil));
    }

    /// <summary>A confirmation was given up: a report of that device may still be under way.</summary>
    public GuestView Doubt(GuestPlace place, TimeSpan until) => this with { Doubts = Doubts.SetItem(place, until) };

    public bool Confirms(Device device, GuestIdentity identity, GuestPlace place, TimeSpan now) =>
        Devices.Values.Any(s => s.CountsFrom <= now && IsMatch(s.Device, device, identity, place));

    // Every value that both sides know must agree, and the place must be among them. On USB the id will do, where the agent can't tell
    // ports; on PCI the same id may well be there twice, and on SCSI there is none.
    private static bool IsMatch(GuestDevice seen, Device device, GuestIdentity identity, GuestPlace place)
    {
        var isPlaced = place.Bus != GuestBus.Usb || seen.Port.Length > 0;
        // Every function sits in slot 0 of some root port: without the port's address, the id must tell it.
        if (place is { Bus: GuestBus.Pci, Controller: null } && identity.Id is null) return false;
        if (isPlaced ? !place.Covers(seen) : identity.Id is null || !place.IsBusOf(seen)) return false;
        return IsOf(seen, identity) && (seen.Ready || !MustBeReady(seen, device, place.Bus));
    }

    // A function that merely shares its group with a USB controller may have no driver in the guest, as it often has none on the host.
    private static bool MustBeReady(GuestDevice seen, Device device, GuestBus bus) => bus switch
    {
        GuestBus.Usb => device.Class == DeviceClass.Hid,
        GuestBus.Pci => seen.PciClass is >= FirstUsbHost and <= LastUsbHost,
        _ => true,
    };

    private static bool IsOf(GuestDevice seen, GuestIdentity identity)
    {
        if (identity.Id is { } id && (id.Vendor != seen.VendorId || id.Product != seen.ProductId)) return false;
        return identity.Serial is not { Length: > 0 } serial || seen.Serial.Length == 0 || GuestPlace.Same(serial, seen.Serial);
    }
}
