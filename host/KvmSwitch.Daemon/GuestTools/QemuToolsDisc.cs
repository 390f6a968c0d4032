using System.Runtime.InteropServices;
using System.Text.Json;
using KvmSwitch.Core;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.GuestTools;

/// <summary>A USB port of a machine, in the terms of device_add.</summary>
internal readonly record struct ToolsPort(string Bus, int Port);

/// <summary>
/// The guest-tools disc in one running QEMU: a block node, a USB mass-storage bridge (usb-bot, which Windows and Linux know without a
/// driver) and on it a CD drive. Its names don't begin as those of devices do, so the switcher takes it for somebody else's.
/// </summary>
internal static class QemuToolsDisc
{
    public const string Bridge = "tools-kvmswitch";
    public const string Drive = "tools-kvmswitch-cd";
    public const string Node = "tools-kvmswitch-iso";

    private const string Attached = "attached";

    /// <summary>A USB device needs no consent of the guest to go, so this is for QEMU alone.</summary>
    private static readonly TimeSpan RemovalDeadline = TimeSpan.FromSeconds(4.5);

    /// <summary>Returns once the disc is plugged in. One that is there goes first; of an attempt that fails nothing stays, as far as QEMU answers.</summary>
    /// <param name="ports">Tried in turn: somebody else may have plugged something in there.</param>
    /// <returns>The port that it is at.</returns>
    public static async Task<ToolsPort> AddAsync(
        QmpClient client, SafeHandle image, IReadOnlyList<ToolsPort> ports, CancellationToken cancellationToken)
    {
        await RemoveAsync(client, cancellationToken);
        try
        {
            await AddNodeAsync(client, image, cancellationToken);
            var port = await AddBridgeAsync(client, ports, cancellationToken);
            await client.DeviceAddAsync("scsi-cd", Drive, new() { ["bus"] = $"{Bridge}.0", ["lun"] = 0, ["drive"] = Node }, cancellationToken);
            // A bridge that is hot-plugged waits for its drives, and shows itself to the guest with them when it is told to.
            await client.QomSetAsync($"/machine/peripheral/{Bridge}", Attached, true, cancellationToken);
            var attached = await client.QomGetAsync($"/machine/peripheral/{Bridge}", Attached, cancellationToken);
            return attached.ValueKind == JsonValueKind.True
                ? port
                : throw new SwitchException(Failure.Failed, "QEMU took the disc but does not show it to the guest");
        }
        catch
        {
            await TryRemoveAsync(client);
            throw;
        }
    }

    /// <summary>Returns once QEMU has let go of the disc, also when it never had one.</summary>
    /// <returns>Whether anything of it was there.</returns>
    public static async Task<bool> RemoveAsync(QmpClient client, CancellationToken cancellationToken)
    {
        var bridge = await client.HasPeripheralAsync(Bridge, cancellationToken);
        // The drive goes with its bridge.
        if (bridge) await client.DeviceDelAndWaitAsync(Bridge, RemovalDeadline, cancellationToken);
        var node = (await client.ListBlockNodesAsync(cancellationToken)).Contains(Node, StringComparer.Ordinal);
        if (node) await client.BlockdevDelAsync(Node, cancellationToken);
        return bridge || node;
    }

    private static async Task AddNodeAsync(QmpClient client, SafeHandle image, CancellationToken cancellationToken)
    {
        var set = await client.AddFdAsync(image, cancellationToken: cancellationToken);
        try
        {
            // Nobody writes to it, so there is nothing to lock; a lock would ask for a descriptor that may write.
            await client.BlockdevAddAsync(
                Node, new() { ["driver"] = "file", ["filename"] = set.Path, ["read-only"] = true, ["locking"] = "off" }, cancellationToken);
        }
        finally
        {
            // The node holds a duplicate.
            await client.RemoveFdAsync(set.FdSetId, cancellationToken: CancellationToken.None);
        }
    }

    private static async Task<ToolsPort> AddBridgeAsync(QmpClient client, IReadOnlyList<ToolsPort> ports, CancellationToken cancellationToken)
    {
        foreach (var port in ports.SkipLast(1))
        {
            try
            {
                return await AddBridgeAsync(client, port, cancellationToken);
            }
            catch (QmpCommandException)
            {
                // Taken, or the bus isn't there. The next one is tried, and what QEMU says of the last is told.
            }
        }

        return await AddBridgeAsync(client, ports[^1], cancellationToken);
    }

    private static async Task<ToolsPort> AddBridgeAsync(QmpClient client, ToolsPort port, CancellationToken cancellationToken)
    {
        await client.DeviceAddAsync("usb-bot", Bridge, new() { ["bus"] = port.Bus, ["port"] = $"{port.Port}" }, cancellationToken);
        return port;
    }

    private static async Task TryRemoveAsync(QmpClient client)
    {
        try
        {
            await RemoveAsync(client, CancellationToken.None);
        }
        catch (QmpException)
        {
            // QEMU is gone, or hangs. What counts is the failure that led here, and the next attempt looks again.
        }
    }
}
