using System.Diagnostics;
using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;

namespace KvmSwitch.Benchmarks;

/// <summary>
/// The floor: the same emulated device on the same port of the guest, plugged by one bare QMP command and seen by a reader in the guest
/// that asks nobody. No switching, no state, no verification.
/// </summary>
/// <param name="Driver">QEMU's driver.</param>
/// <param name="Bus">QEMU's name of the bus.</param>
internal sealed record BareDevice(string Driver, string Bus, string Port)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private string Id => $"floor-{Driver}";

    /// <summary>Where the daemon put one of its devices just now.</summary>
    public static async Task<BareDevice> LikeAsync(DemoGuest guest, string device, string driver, CancellationToken cancellation)
    {
        var path = $"/machine/peripheral/kvmswitch-device-{device}";
        var bus = await guest.Qmp.QomGetAsync(path, "parent_bus", cancellation);
        var port = await guest.Qmp.QomGetAsync(path, "port", cancellation);
        return new(driver, bus.GetString()!.Split('/')[^1], port.GetString()!);
    }

    /// <summary>Plugs all in, one command after the other.</summary>
    /// <returns>Milliseconds from the first command until the guest has seen all of them ready.</returns>
    public static async Task<double> AddAsync(DemoGuest guest, IReadOnlyList<BareDevice> devices, CancellationToken cancellation)
    {
        var from = guest.Watch.Sightings.Count;
        var started = Stopwatch.GetTimestamp();
        foreach (var device in devices)
        {
            await guest.Qmp.DeviceAddAsync(
                device.Driver, device.Id, new JsonObject { ["bus"] = device.Bus, ["port"] = device.Port }, cancellation);
        }

        var seen = await guest.Watch.WaitForAsync(Times(devices.Count, "present"), Patience, cancellation, from);
        return Stopwatch.GetElapsedTime(started, seen.Timestamp).TotalMilliseconds;
    }

    /// <summary>Unplugs all, one after the other.</summary>
    /// <returns>Milliseconds until QEMU has told the end of the last one.</returns>
    public static async Task<double> RemoveAsync(DemoGuest guest, IReadOnlyList<BareDevice> devices, CancellationToken cancellation)
    {
        var from = guest.Watch.Sightings.Count;
        using var deleted = guest.Qmp.Listen(happened => happened.Name == "DEVICE_DELETED");
        var started = Stopwatch.GetTimestamp();
        foreach (var device in devices)
        {
            await guest.Qmp.DeviceDelAsync(device.Id, cancellation);
            await deleted.WaitForAsync(happened => happened.Data.TryGetProperty("device", out var id) && id.ValueEquals(device.Id), Patience, cancellation);
        }

        var time = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        await guest.Watch.WaitForAsync(Times(devices.Count, "gone"), Patience, cancellation, from);
        return time;
    }

    /// <summary>Matches the sighting with which so many different devices have come (and are ready) or gone.</summary>
    public static Func<JsonObject, bool> Times(int count, string what)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return entry =>
        {
            if ((string?)entry["event"] != what || (what == "present" && (bool?)entry["ready"] != true)) return false;
            seen.Add((string?)entry["key"] ?? "");
            return seen.Count == count;
        };
    }
}
