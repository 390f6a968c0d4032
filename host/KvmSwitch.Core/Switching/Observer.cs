using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What one look showed of a device, or why it showed nothing.</summary>
internal sealed record Look(Observation? Seen, string? Trouble);

/// <summary>Looks where devices are: on the host, and in machines. Each machine is asked once for all devices.</summary>
/// <param name="suspects">
/// The machines that may hold a device, as far as is known. They have to answer for it; a machine that hangs and has nothing to do
/// with a device must not hold it up.
/// </param>
internal sealed class Observer(SwitchEdges edges, ImmutableDictionary<DeviceId, ImmutableHashSet<MachineId>> suspects)
{
    /// <summary>Looks on the host and in the suspects.</summary>
    /// <exception cref="SwitchException">A side does not answer.</exception>
    public async Task<ImmutableDictionary<DeviceId, Observation>> ObserveAsync(ImmutableArray<Device> devices, CancellationToken cancellationToken)
    {
        var looking = Task.WhenAll(devices.Select(device => SightAsync(device, cancellationToken)));
        var asked = devices.SelectMany(SuspectsOf).Distinct().ToArray();
        var held = await Task.WhenAll(asked.Select(machine => HeldByAsync(machine, cancellationToken)));
        var holdings = asked.Zip(held).ToDictionary(pair => pair.First, pair => pair.Second);
        var sights = await looking;
        return devices.Zip(sights).ToImmutableDictionary(
            pair => pair.First.Id,
            pair => Combine(pair.First.Id, pair.Second, holdings));
    }

    /// <summary>Looks on every side. A machine that doesn't answer is passed over unless it may hold the device.</summary>
    public async Task<ImmutableArray<Look>> LookEverywhereAsync(ImmutableArray<Device> devices)
    {
        var answers = await Task.WhenAll(edges.Machines.Keys.Select(async machine => (Machine: machine, Answer: await TryAskAsync(machine))));
        return [.. await Task.WhenAll(devices.Select(device => JudgeAsync(device, answers)))];
    }

    /// <summary>What the host looks at alone, no machine has to answer for.</summary>
    private ImmutableHashSet<MachineId> SuspectsOf(Device device) => device.Route.IsHeldByQemu ? suspects[device.Id] : [];

    /// <summary>Looks on the host alone.</summary>
    public async Task<Observation> ObserveHostAsync(Device device) =>
        Combine(device.Id, await SightAsync(device, CancellationToken.None), []);

    private static Observation Combine(DeviceId id, HostView host, Dictionary<MachineId, ImmutableDictionary<DeviceId, Holding>> holdings)
    {
        var held = holdings.Where(pair => pair.Value.ContainsKey(id)).ToLookup(pair => pair.Value[id].IsStale, pair => pair.Key);
        ImmutableArray<MachineId> lent = host.LentTo is { } machine ? [machine] : [];
        var isThere = host.Sight != HostSight.Absent;
        var machines = held[false].Concat(isThere ? lent : []).ToImmutableHashSet();
        return new(host.Sight, machines)
        {
            Stale = [.. held[true], .. isThere ? [] : lent],
            IsPartial = host.IsPartial && !machines.IsEmpty,
        };
    }

    private async Task<Look> JudgeAsync(
        Device device, (MachineId Machine, (ImmutableDictionary<DeviceId, Holding>? Held, string? Trouble) Answer)[] answers)
    {
        var silent = answers.FirstOrDefault(asked => asked.Answer.Held is null && SuspectsOf(device).Contains(asked.Machine));
        if (silent.Answer.Trouble is { } trouble) return new(null, trouble);
        try
        {
            var sight = await SightAsync(device, CancellationToken.None);
            var answered = answers.Where(asked => asked.Answer.Held is not null);
            return new(Combine(device.Id, sight, answered.ToDictionary(asked => asked.Machine, asked => asked.Answer.Held!)), null);
        }
        catch (SwitchException blind)
        {
            return new(null, blind.Message);
        }
    }

    private async Task<(ImmutableDictionary<DeviceId, Holding>? Held, string? Trouble)> TryAskAsync(MachineId machine)
    {
        try
        {
            return (await HeldByAsync(machine, CancellationToken.None), null);
        }
        catch (SwitchException silent)
        {
            return (null, silent.Message);
        }
    }

    private async Task<HostView> SightAsync(Device device, CancellationToken cancellationToken)
    {
        HostView sight = HostSight.Absent;
        await Deadline.HoldAsync(
            async token => sight = await edges.HostSide(device).ObserveAsync(device, token),
            edges.Deadlines.Observe, $"looking for {device.Id} on the host", edges.Clock, cancellationToken);
        return sight;
    }

    private async Task<ImmutableDictionary<DeviceId, Holding>> HeldByAsync(MachineId machine, CancellationToken cancellationToken)
    {
        var held = ImmutableDictionary<DeviceId, Holding>.Empty;
        await Deadline.HoldAsync(
            async token => held = await edges.Machines[machine].ObserveAsync(token),
            edges.Deadlines.Observe, $"looking into {machine}", edges.Clock, cancellationToken);
        return held;
    }
}
