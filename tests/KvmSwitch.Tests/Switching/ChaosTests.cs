using System.Globalization;
using KvmSwitch.Core;
using KvmSwitch.Testing.Switching;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

/// <summary>Random requests, news and faults; then the faults stop, and everything must come home.</summary>
[Collection(AloneOnThePool.Name)]
public sealed class ChaosTests
{
    private const int Operations = 40;

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Whatever_went_wrong_everything_comes_home_and_nothing_was_ever_in_two_places(int seed)
    {
        var random = new Random(seed);
        await using var rig = await StartedAsync();
        rig.World.NowhereBound = TimeSpan.FromMinutes(3);
        rig.World.Faults.Chance = called => Fault(random, called);
        var asked = new List<Task<Handoff>>();
        for (var operation = 0; operation < Operations; operation++)
        {
            await ActAsync(rig, random, asked);
            await rig.PassAsync(random.Next(12) * random.Next(12) * 0.05);
        }

        rig.World.Faults.Stop();
        foreach (var device in rig.Devices) rig.World.Plug(device.Id);
        rig.Switcher.LookAgain();
        foreach (var machine in new[] { A, B }) Reboot(rig, machine);
        await rig.UntilAsync(() => rig.Devices.All(device => rig.See(device).Handoff is null), $"all rests (seed {seed})");
        await rig.PassAsync(45);
        foreach (var device in rig.Devices)
        {
            var (holders, see) = (rig.World.HoldersOf(device.Id), rig.See(device));
            Assert.True(
                see.Placement.Machine is { } machine ? holders.SetEquals([machine]) && see.Owner == machine : rig.World.IsHome(device.Id) && see.Owner.IsHost,
                $"seed {seed}: left alone, the state of {device.Id} is not the truth; {rig.Describe()}");
        }

        await TakeAllAsync(rig);
        await rig.UntilAsync(
            () => rig.Devices.All(device => rig.World.IsHome(device.Id) && rig.See(device) is { Handoff: null, Trouble: null }) && rig.World.Saved.IsEmpty,
            $"all is home (seed {seed})");
        Assert.True(rig.World.Violations.IsEmpty, $"seed {seed}: {string.Join("; ", rig.World.Violations)}");
        await rig.UntilAsync(() => rig.World.OpenDescriptors == 0, $"all descriptors are closed (seed {seed})", 15);
        await rig.UntilAsync(() => asked.TrueForAll(task => task.IsCompleted), $"every request is answered (seed {seed})", 1);
        Assert.All(asked.Where(task => task.IsFaulted), task => Assert.IsType<SwitchException>(task.Exception!.InnerException));
    }

    /// <summary>Twelve, or as many as KVMSWITCH_CHAOS_SEEDS says.</summary>
    public static TheoryData<int> Seeds() =>
        [.. Enumerable.Range(1, int.TryParse(Environment.GetEnvironmentVariable("KVMSWITCH_CHAOS_SEEDS"), CultureInfo.InvariantCulture, out var count) ? count : 12)];

    private static async Task TakeAllAsync(SwitchRig rig)
    {
        try
        {
            await rig.DriveAsync(rig.TakeAll());
        }
        catch (SwitchException)
        {
            // A call of the faulty time may still be out; reconciling goes on, and that is what is tested.
        }
    }

    private static void Reboot(SwitchRig rig, MachineId machine)
    {
        if (rig.World.IsRunning(machine)) return;
        rig.Switcher.GuestLost(machine, Gesture.MachineExit);
        rig.World.Boot(machine);
        rig.Switcher.MachineUp(machine);
        rig.AgentUp(machine);
    }

    private static async Task ActAsync(SwitchRig rig, Random random, List<Task<Handoff>> asked)
    {
        var devices = random.GetItems(rig.Devices.AsSpan(), random.Next(1, 4)).Distinct().ToArray();
        var machine = random.Next(2) == 0 ? A : B;
        switch (random.Next(16))
        {
            case < 5:
                asked.Add(rig.Give(machine, devices));
                break;
            case 5:
                asked.Add(rig.GiveFor(TimeSpan.FromSeconds(random.Next(1, 20)), machine, devices));
                break;
            case < 8:
                asked.Add(rig.Take(devices));
                break;
            case 8:
                rig.AgentSilent(machine);
                break;
            case 9:
                rig.AgentUp(machine);
                break;
            case 10:
                rig.Switcher.GuestLost(machine, Gesture.GuestReset);
                rig.AgentUp(machine);
                break;
            case 11:
                rig.World.Exit(machine);
                rig.Switcher.GuestLost(machine, Gesture.MachineExit);
                Reboot(rig, machine);
                break;
            case 12:
                rig.World.Unplug(devices[0].Id);
                rig.Switcher.LookAgain();
                break;
            case 13:
                foreach (var device in rig.Devices)
                {
                    rig.World.Plug(device.Id);
                    rig.Switcher.PluggedIn(device.Id);
                }

                break;
            case 14:
                rig.Switcher.LookAgain();
                break;
            default:
                asked.RemoveAll(task => !task.IsCompleted);
                await rig.RestartAsync();
                break;
        }
    }

    private static WorldFault? Fault(Random random, WorldCalled called)
    {
        if (random.Next(8) != 0) return null;
        var machine = called.Machine ?? A;
        return random.Next(8) switch
        {
            0 => new WorldFault.FailBefore(),
            1 => new WorldFault.FailAfter(),
            2 => new WorldFault.Hang(),
            3 => new WorldFault.HangAfter(),
            4 => new WorldFault.Slow(TimeSpan.FromSeconds(random.Next(1, 8))),
            5 => new WorldFault.Late(TimeSpan.FromSeconds(random.Next(1, 12))),
            6 => new WorldFault.Dies(machine),
            _ => new WorldFault.Throws(new IOException("broken pipe")),
        };
    }
}
