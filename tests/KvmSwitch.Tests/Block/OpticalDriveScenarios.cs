using System.Collections.Immutable;
using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Block;

/// <summary>What a drive goes through in a fake and in the real QEMU alike; a file stands for the drive.</summary>
internal static class OpticalDriveScenarios
{
    private static readonly DeviceId Bluray = DeviceId.Parse("bluray");
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    private static readonly HashSet<string> Nodes = ["kvmswitch-bluray", "kvmswitch-bluray.claim"];

    public static IReadOnlyDictionary<string, Func<QmpClient, Task>> All { get; } = new Dictionary<string, Func<QmpClient, Task>>(StringComparer.Ordinal)
    {
        ["three_discs_one_after_the_other"] = ThreeDiscs,
        ["what_is_left_of_a_crash_gives_way"] = LeftoversGiveWay,
        ["a_device_that_is_refused_leaves_no_node"] = RefusedDevice,
        ["only_nodes_that_nobody_uses_are_swept"] = Sweep,
        ["removing_what_was_never_there_is_fine"] = client => QemuOpticalDrive.RemoveAsync(client, Bluray, Deadline, CancellationToken.None),
    };

    public static async Task RunAsync(string scenario, string socketPath)
    {
        await using var client = await QmpClient.ConnectAsync(socketPath);
        await client.DeviceAddAsync("virtio-scsi-pci", "scsi", new() { ["bus"] = "rp1" });
        // QEMU before 9 closes removed descriptors only while the guest runs.
        await client.ContAsync();
        await All[scenario](client);
    }

    private static async Task ThreeDiscs(QmpClient client)
    {
        for (var disc = 0; disc < 3; disc++)
        {
            await AddAsync(client);
            Assert.Contains(QemuDevices.QemuId(Bluray), await client.ListPeripheralsAsync());
            Assert.Superset(Nodes, (await client.ListBlockNodesAsync()).ToHashSet());
            await QemuOpticalDrive.RemoveAsync(client, Bluray, Deadline, CancellationToken.None);
            await AssertNothingAsync(client);
        }
    }

    private static async Task LeftoversGiveWay(QmpClient client)
    {
        await AddAsync(client);
        await QemuOpticalDrive.RemoveAsync(client, Bluray, Deadline, CancellationToken.None);
        await AddAsync(client);
        await client.DeviceDelAndWaitAsync(QemuDevices.QemuId(Bluray));
        await AddAsync(client);

        var nodes = await client.ListBlockNodesAsync();
        Assert.All(Nodes, node => Assert.Single(nodes, name => name == node));
    }

    private static async Task RefusedDevice(QmpClient client)
    {
        await Assert.ThrowsAsync<QmpCommandException>(() => AddAsync(client, bus: "nowhere.0"));

        await AssertNothingAsync(client);
    }

    private static async Task Sweep(QmpClient client)
    {
        await AddAsync(client);
        await AddAsync(client, "other");
        await client.DeviceDelAndWaitAsync("kvmswitch-device-other");
        Assert.Contains("kvmswitch-other", await client.ListBlockNodesAsync());

        await QemuOpticalDrive.SweepAsync(client, CancellationToken.None);

        Assert.Equal(Nodes, (await client.ListBlockNodesAsync()).Where(name => name.StartsWith("kvmswitch-", StringComparison.Ordinal)).ToHashSet());
    }

    private static async Task AddAsync(QmpClient client, string device = "bluray", string bus = "scsi.0")
    {
        var path = Path.GetTempFileName();
        await File.WriteAllBytesAsync(path, new byte[64 * 2048]);
        var id = DeviceId.Parse(device);
        var properties = ImmutableDictionary<string, string>.Empty
            .Add("node.driver", "file").Add("node.read-only", "true").Add("claim.driver", "file").Add("claim.read-only", "true");
        using var part = new AttachmentPart(0, "scsi-cd", properties, File.OpenHandle(path), new(null, null)) { Claim = File.OpenHandle(path), FdSet = 21007 };
        File.Delete(path);
        await QemuOpticalDrive.AddAsync(client, id, part, new JsonObject { ["bus"] = bus }, CancellationToken.None);
        Assert.True(part.Descriptor!.IsClosed && part.Claim!.IsClosed);
    }

    private static async Task AssertNothingAsync(QmpClient client)
    {
        Assert.DoesNotContain(QemuDevices.QemuId(Bluray), await client.ListPeripheralsAsync());
        Assert.Empty((await client.ListBlockNodesAsync()).Intersect(Nodes));
        // No set of descriptors is left to number from.
        using var probe = File.OpenHandle("/dev/null");
        var set = await client.AddFdAsync(probe);
        Assert.Equal(0, set.FdSetId);
        await client.RemoveFdAsync(set.FdSetId);
    }
}
