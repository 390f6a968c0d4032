using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>
/// An optical drive in one running QEMU: the SCSI device, the block node that it sends its commands by, and a node that claims the drive.
/// The claim keeps the host off the drive, so none may be left behind.
/// </summary>
internal static class QemuOpticalDrive
{
    private const string Prefix = "kvmswitch-";
    private const string Claim = ".claim";
    private const int MaxNodeName = 31;

    /// <summary>QEMU's name of the node. A long name of a device is cut, and told from others by what its hash begins with.</summary>
    public static string NodeName(DeviceId device)
    {
        var name = Prefix + device.Value;
        var most = MaxNodeName - Claim.Length;
        if (name.Length <= most) return name;
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(device.Value)))[..8];
        return $"{name[..(most - 1 - hash.Length)]}.{hash}";
    }

    /// <summary>QEMU's name of the node that claims the drive.</summary>
    public static string ClaimName(DeviceId device) => NodeName(device) + Claim;

    /// <summary>Returns once QEMU has the drive. Of an attempt that fails nothing stays, as far as QEMU answers.</summary>
    /// <param name="part">
    /// With a descriptor and a claim, and with properties of their nodes under <see cref="OpticalHostSide.NodePrefix"/> and
    /// <see cref="OpticalHostSide.ClaimPrefix"/>.
    /// </param>
    /// <param name="place">The properties that say where in the guest it goes.</param>
    public static async Task AddAsync(
        QmpClient client, DeviceId device, AttachmentPart part, JsonObject place, CancellationToken cancellationToken)
    {
        try
        {
            await AddNodeAsync(client, ClaimName(device), part.Claim, set: null, Options(part, OpticalHostSide.ClaimPrefix), cancellationToken);
            await AddNodeAsync(client, NodeName(device), part.Descriptor, part.FdSet, Options(part, OpticalHostSide.NodePrefix), cancellationToken);
            place["drive"] = NodeName(device);
            await client.DeviceAddAsync(part.Driver, QemuDevices.QemuId(device, part.Slot), place, cancellationToken);
        }
        catch
        {
            foreach (var node in Nodes(device)) await TryRemoveNodeAsync(client, node);
            throw;
        }
    }

    /// <summary>Returns once QEMU has let go of the drive, also when it never had it.</summary>
    /// <exception cref="QmpException">QEMU refused, or doesn't answer.</exception>
    public static async Task RemoveAsync(QmpClient client, DeviceId device, TimeSpan deadline, CancellationToken cancellationToken)
    {
        await client.DeviceDelAndWaitAsync(QemuDevices.QemuId(device), deadline, cancellationToken);
        foreach (var node in Nodes(device))
        {
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
    }

    /// <summary>Removes all nodes of ours that no device uses: what a daemon that died between two commands left behind.</summary>
    public static async Task SweepAsync(QmpClient client, CancellationToken cancellationToken)
    {
        foreach (var node in (await OursAsync(client, cancellationToken)).Where(name => !IsClaim(name))) await TryRemoveNodeAsync(client, node);

        // No device uses a claim; the node beside it tells whether the drive is in the guest.
        var left = await OursAsync(client, cancellationToken);
        foreach (var claim in left.Where(name => IsClaim(name) && !left.Contains(name[..^Claim.Length]))) await TryRemoveNodeAsync(client, claim);
    }

    private static async Task<HashSet<string>> OursAsync(QmpClient client, CancellationToken cancellationToken) =>
        [.. (await client.ListBlockNodesAsync(cancellationToken)).Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))];

    private static bool IsClaim(string node) => node.EndsWith(Claim, StringComparison.Ordinal);

    // The claim ends last: before it does, nothing of the guest reaches the drive any more.
    private static string[] Nodes(DeviceId device) => [NodeName(device), ClaimName(device)];

    private static JsonObject Options(AttachmentPart part, string prefix) => new(part.Properties
        .Where(property => property.Key.StartsWith(prefix, StringComparison.Ordinal))
        .Select(property => KeyValuePair.Create<string, JsonNode?>(
            property.Key[prefix.Length..], property.Value is "true" or "false" ? property.Value == "true" : property.Value)));

    private static async Task AddNodeAsync(
        QmpClient client, string node, SafeHandle? descriptor, int? set, JsonObject options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        var added = await client.AddFdAsync(descriptor, set, cancellationToken);
        try
        {
            // Ours closes first: with QEMU's alone the host's claim ends when QEMU does.
            descriptor.Dispose();
            options["filename"] = added.Path;
            await AddNodeAnewAsync(client, node, options, cancellationToken);
        }
        finally
        {
            // The node holds a duplicate.
            await client.RemoveFdAsync(added.FdSetId, cancellationToken: CancellationToken.None);
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
