using System.Globalization;
using CsCheck;
using KvmSwitch.Core;
using KvmSwitch.Testing.Linux;
using Xunit;
using static KvmSwitch.Tests.Pci.ControllerRig;

namespace KvmSwitch.Tests.Pci;

/// <summary>Whatever goes wrong at whatever write, and whenever the daemon is killed: in the end every function is where it was.</summary>
public sealed class ControllerChaosTests
{
    private static readonly string[] Card = ["0000:05:00.0", "0000:05:00.1", "0000:05:00.2"];

    private enum Deed
    {
        Give,
        Take,
        Wrest,
        Kill,
    }

    private static Gen<(Deed Deed, int CancelAfter, PciFault[] Faults)[]> Stories { get; } = Gen.Select(
        Gen.Enum<Deed>(), Gen.Int[0, 30],
        Gen.Frequency((6, Gen.Const(PciFault.None)), (1, Gen.Const(PciFault.Hangs)), (1, Gen.Const(PciFault.HangsAfter)), (1, Gen.Const(PciFault.Denied)), (1, Gen.Const(PciFault.Refused)))
            .Array[1, 12]).Array[1, 5];

    [Fact]
    public async Task Everything_comes_home_to_its_driver_and_nothing_else_was_touched() => await Stories.SampleAsync(TellAsync, iter: 15, threads: 1);

    private static async Task TellAsync((Deed Deed, int CancelAfter, PciFault[] Faults)[] story)
    {
        using var rig = new ControllerRig();
        var before = Drivers(rig);
        var device = Named(Card);
        foreach (var (deed, cancelAfter, faults) in story)
        {
            var next = -1;
            rig.Pci.Faults.Choose = _ => faults[Math.Min(Interlocked.Increment(ref next), faults.Length - 1)];
            using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(cancelAfter));
            await DoAsync(rig, device, deed, patience.Token);
        }

        rig.Pci.Faults.Choose = _ => PciFault.None;
        rig.Pci.Faults.LetGo();
        rig.Restart();
        await rig.RestoreAsync(device);

        Assert.Equal(before, Drivers(rig));
        Assert.All(Card, function => Assert.Equal("", rig.Pci.OverrideOf(function)));
        Assert.All(Card, function => Assert.Null(rig.Memory.Find(PciAddress.Parse(function))));
        Assert.Equal(HostSight.Served, await rig.LookAsync(device));
        Assert.DoesNotContain(rig.Pci.Faults.Writes, write => !Card.Contains(write.Function));
    }

    private static async Task DoAsync(ControllerRig rig, Device device, Deed deed, CancellationToken cancellationToken)
    {
        try
        {
            switch (deed)
            {
                case Deed.Give:
                    using (await rig.PrepareAsync(device, cancellationToken: cancellationToken)) return;
                case Deed.Take:
                    await rig.Side.RestoreAsync(device, cancellationToken).WaitAsync(Deadline, CancellationToken.None);
                    return;
                case Deed.Wrest:
                    await rig.Side.WrestAsync(device, cancellationToken).WaitAsync(Deadline, CancellationToken.None);
                    return;
                default:
                    rig.Restart();
                    return;
            }
        }
        catch (Exception e) when (e is SwitchException or OperationCanceledException)
        {
            Assert.False(e is SwitchException && e.Message.Length == 0, string.Create(CultureInfo.InvariantCulture, $"{deed} failed without a word"));
        }
    }

    private static string Drivers(ControllerRig rig) => string.Join(
        ' ', new KvmSwitch.Linux.PciInventory(rig.Tree.Paths).All().Select(function => $"{function.Address}={function.Driver}"));
}
