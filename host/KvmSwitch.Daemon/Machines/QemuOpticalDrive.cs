using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>
/// An optical drive in one running QEMU: a block node, and the SCSI device on it. The node keeps the drive open, and with that the
/// host off it, so none may be left behind.
/// </summary>
internal static class QemuOpticalDrive
{
    private const string Prefix = "kvmswitch-";
    private const int MaxNodeName = 31;

    /// <summary>QEMU's name of the node. A long name of a device is cut, and told from others by what its hash begins with.</summary>
    public static string NodeName(DeviceId device)
    {
        var name = Prefix + device.Value;
        if (name.Length <= MaxNodeName) return name;
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(device.Value)))[..8];
        return $"{name[..(MaxNodeName - 1 - hash.Length)]}.{hash}";
    }

    /// <summary>Returns once QEMU has the drive. Of an attempt that fails nothing stays, as far as QEMU answers.</summary>
    /// <param name="part">With a descriptor, and with properties of the node under <see cref="OpticalHostSide.NodePrefix"/>.</param>
    /// <param name="place">The properties that say where in the guest it goes.</param>
    public static async Task AddAsync(
        QmpClient client, DeviceId device, AttachmentPart part, JsonObject place, CancellationToken cancellationToken)
    {
        var node = NodeName(device);
        await AddNodeAsync(client, node, part, cancellationToken);
        try
        {
            place["drive"] = node;
            foreach (var (name, value) in part.Properties.Where(property => !IsOfNode(property.Key))) place[name] = value;
            await client.DeviceAddAsync(part.Driver, QemuDevices.QemuId(device, part.Slot), place, cancellationToken);
        }
        catch
        {
            await TryRemoveNodeAsync(client, node);
            throw;
        }
    }

    /// <summary>Returns once QEMU has let go of the drive, also when it never had it.</summary>
    /// <exception cref="QmpException">QEMU refused, or doesn't answer.</exception>
    public static async Task RemoveAsync(QmpClient client, DeviceId device, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var node = NodeName(device);
        await client.DeviceDelAndWaitAsync(QemuDevices.QemuId(device), deadline, cancellationToken);
        try
        {
            await client.BlockdevDelAsync(node, cancellationToken);
        }
        catch (QmpCommandException)
        {
            // A node that isn't there is refused as one in use is. The list tells them apart, and is long.
            if ((await client.ListBlockNodesAsync(cancellationToken)).Contains(node, StringComparer.Ordinal)) throw;
        }
    }

    /// <summary>Removes all nodes of ours that no device uses: what a daemon that died between two commands left behind.</summary>
    public static async Task SweepAsync(QmpClient client, CancellationToken cancellationToken)
    {
        var nodes = await client.ListBlockNodesAsync(cancellationToken);
        foreach (var node in nodes.Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))) await TryRemoveNodeAsync(client, node);
    }

    private static bool IsOfNode(string property) => property.StartsWith(OpticalHostSide.NodePrefix, StringComparison.Ordinal);

    private static async Task AddNodeAsync(QmpClient client, string node, AttachmentPart part, CancellationToken cancellationToken)
    {
        var descriptor = part.Descriptor ?? throw new ArgumentException("an optical drive travels by descriptor", nameof(part));
        var set = await client.AddFdAsync(descriptor, cancellationToken: cancellationToken);
        try
        {
            // Ours closes first: with QEMU's alone the host's claim ends when QEMU does.
            part.Dispose();
            var options = new JsonObject { ["filename"] = set.Path };
            foreach (var (name, value) in part.Properties.Where(property => IsOfNode(property.Key)))
            {
                options[name[OpticalHostSide.NodePrefix.Length..]] = value is "true" or "false" ? value == "true" : value;
            }

            await AddNodeAnewAsync(client, node, options, cancellationToken);
        }
        finally
        {
            // The node holds a duplicate.
            await client.RemoveFdAsync(set.FdSetId, cancellationToken: CancellationToken.None);
        }
    }

    /// <summary>A node of that name that no device uses is what a daemon that died, or an attempt whose end QEMU didn't hear of, left behind.</summary>
    private static async Task AddNodeAnewAsync(QmpClient client, string node, JsonObject options, CancellationToken cancellationToken)
    {
        try
        {
            await client.BlockdevAddAsync(node, options, cancellationToken);
        }
        catch (QmpCommandException)
        {
            if (!(await client.ListBlockNodesAsync(cancellationToken)).Contains(node, StringComparer.Ordinal)) throw;
            await client.BlockdevDelAsync(node, cancellationToken);
            await client.BlockdevAddAsync(node, options, cancellationToken);
        }
    }

    private static async Task TryRemoveNodeAsync(QmpClient client, string node)
    {
        try
        {
            await client.BlockdevDelAsync(node, CancellationToken.None);
        }
        catch (QmpException)
        {
            // In use, or QEMU is gone. What counts is the failure that led here, and the next removal looks again.
        }
    }
}
