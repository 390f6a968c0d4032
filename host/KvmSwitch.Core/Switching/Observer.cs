using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What one look showed of a device, or why it showed nothing.</summary>
internal sealed record Look(Observation? Seen, string? Trouble);

/// <summary>What a machine that was asked holds, or why it didn't tell.</summary>
internal sealed record Answer(MachineId Machine, ImmutableDictionary<DeviceId, Holding>? Held, SwitchException? Silent)
{
    /// <exception cref="SwitchException">It didn't tell.</exception>
    public ImmutableDictionary<DeviceId, Holding> Required => Held ?? throw new SwitchException(Silent!.Failure, Silent.Message, Silent);
}

/// <summary>Looks where devices are: on the host, and in machines. Each machine is asked once for all devices.</summary>
/// <param name="suspects">
/// The machines that may hold a device, as far as is known. They have to answer for it; a machine that hangs and has nothing to do
/// with a device must not hold it up.
/// </param>
internal sealed class Observer(SwitchEdges edges, ImmutableDictionary<DeviceId, ImmutableHashSet<MachineId>> suspects)
{
    /// <summary>Looks on the host and in the suspects.</summary>
    /// <exception cref="SwitchException">A side does not answer.</exception>
    public Task<ImmutableDictionary<DeviceId, Observation>> ObserveAsync(ImmutableArray<Device> devices, CancellationToken cancellationToken) =>
        ObserveAsync(devices, AskAsync(devices, cancellationToken), cancellationToken);

    /// <summary>Looks on the host now, while the suspects were asked when nothing more was to change there.</summary>
    /// <exception cref="SwitchException">A side does not answer.</exception>
    public async Task<ImmutableDictionary<DeviceId, Observation>> ObserveAsync(
        ImmutableArray<Device> devices, Task<Answer[]> asked, CancellationToken cancellationToken)
    {
        var sights = await Task.WhenAll(devices.Select(device => SightAsync(device, cancellationToken)));
        var holdings = (await asked).ToDictionary(answer => answer.Machine, answer => answer.Required);
        return devices.Zip(sights).ToImmutableDictionary(
            pair => pair.First.Id,
            pair => Combine(pair.First.Id, pair.Second, holdings));
    }

    /// <summary>Asks the suspects. Their silence is an answer too, so that nobody has to wait for it.</summary>
    public Task<Answer[]> AskAsync(ImmutableArray<Device> devices, CancellationToken cancellationToken) =>
        AskAsync(devices.SelectMany(SuspectsOf).Distinct(), cancellationToken);

    /// <summary>Looks on every side. A machine that doesn't answer is passed over unless it may hold the device.</summary>
    public async Task<ImmutableArray<Look>> LookEverywhereAsync(ImmutableArray<Device> devices)
    {
        var answers = await AskAsync(edges.Machines.Keys, CancellationToken.None);
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

    private async Task<Look> JudgeAsync(Device device, Answer[] answers)
    {
        if (answers.FirstOrDefault(answer => SuspectsOf(device).Contains(answer.Machine) && answer.Silent is not null) is { Silent: { } silent })
            return new(null, silent.Message);
        try
        {
            var sight = await SightAsync(device, CancellationToken.None);
            var holdings = answers.Where(answer => answer.Held is not null).ToDictionary(answer => answer.Machine, answer => answer.Held!);
            return new(Combine(device.Id, sight, holdings), null);
        }
        catch (SwitchException blind)
        {
            return new(null, blind.Message);
        }
    }

    private Task<Answer[]> AskAsync(IEnumerable<MachineId> machines, CancellationToken cancellationToken) => Task.WhenAll(machines.Select(async machine =>
    {
        try
        {
            return new Answer(machine, await HeldByAsync(machine, cancellationToken), null);
        }
        catch (SwitchException silent)
        {
            return new Answer(machine, null, silent);
        }
    }));

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
