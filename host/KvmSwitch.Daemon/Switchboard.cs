using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon;

/// <summary>Turns what people and guests ask for, in names, into handoffs. The one place that knows who may ask for what.</summary>
internal sealed class Switchboard(SwitchConfiguration configuration, Switcher switcher, ImmutableDictionary<MachineId, IMachineSide> sides)
{
    public async Task<Handoff> GiveAsync(IReadOnlyCollection<string> targets, string machine, TimeSpan? limit, bool force, string gesture, long uid)
    {
        if (limit is { } time && (time <= TimeSpan.Zero || time > TimeSpan.FromDays(1)))
            throw new SwitchException(Failure.Usage, "the time limit must be more than 0 and at most 24 hours");
        var (devices, to) = (Resolve(targets), Machine(machine).Id);
        if (!force) await EjectAsync(StorageAmong(devices, to));
        return await switcher.RequestAsync(new(devices, to, gesture) { TimeLimit = limit, Force = force, Uid = uid });
    }

    /// <summary>Home. Of everything no guest is asked.</summary>
    public async Task<Handoff> TakeAsync(IReadOnlyCollection<string> targets, bool all, string gesture, long uid)
    {
        if (all && targets.Count > 0) throw new SwitchException(Failure.Usage, "name devices or say --all, not both");
        var devices = all ? [.. configuration.Devices.Select(device => device.Id)] : Resolve(targets);
        return await (all ? switcher.RequestAsync(new(devices, Owner.Host, gesture) { Uid = uid }) : BringHomeAsync(devices, gesture, uid));
    }

    /// <summary>Home, when the machine has all of them; else to the machine.</summary>
    public Task<Handoff> ToggleAsync(IReadOnlyCollection<string> targets, string machine, TimeSpan? limit, bool force, string gesture, long uid)
    {
        var there = Machine(machine).Id;
        var snapshot = switcher.Current;
        return Resolve(targets).All(id => snapshot.Find(id)!.Owner == there)
            ? TakeAsync(targets, all: false, gesture, uid)
            : GiveAsync(targets, there.Value, limit, force, gesture, uid);
    }

    /// <summary>A guest may give back what it holds.</summary>
    public async Task<Handoff> ReturnFromAsync(MachineId guest, IReadOnlyCollection<string> targets, string gesture)
    {
        var held = switcher.Current.Devices
            .Where(view => view.Owner == guest || view.Placement.Machine == guest)
            .Select(view => view.Device.Id)
            .ToImmutableArray();
        var devices = targets.Count == 0 ? held : [.. Resolve(targets, NamesAmong(held)).Where(held.Contains)];
        if (devices.IsEmpty) throw new SwitchException(Failure.Refused, $"{guest} holds nothing of that");
        return await BringHomeAsync(devices, gesture, uid: -1);
    }

    /// <summary>A guest may ask for what the configuration lets it ask for.</summary>
    public Task<Handoff> RequestFromAsync(MachineId guest, IReadOnlyCollection<string> targets, string gesture)
    {
        var allowed = Machine(guest.Value).MayRequest;
        var devices = Resolve(targets, NamesAmong(allowed));
        if (devices.FirstOrDefault(id => !allowed.Contains(id)) is { Value: not null } forbidden)
        {
            throw new SwitchException(
                Failure.Refused, $"{guest} may not ask for {forbidden}; on the host, [guest.{guest}] may_request would have to name it");
        }

        // Nor may it take from another guest: only the host's people decide that.
        var snapshot = switcher.Current;
        if (devices.FirstOrDefault(id => snapshot.Find(id)!.Owner is { IsHost: false } owner && owner != guest) is { Value: not null } taken)
            throw new SwitchException(Failure.Refused, $"{taken} is with {snapshot.Find(taken)!.Owner}");
        return switcher.RequestAsync(new(devices, guest, gesture));
    }

    /// <summary>Storage is ejected by its guest first, which may object. A keyboard of the same set doesn't wait for that.</summary>
    private async Task<Handoff> BringHomeAsync(ImmutableArray<DeviceId> devices, string gesture, long uid)
    {
        var storage = StorageAmong(devices, Owner.Host);
        var others = devices.RemoveRange(storage.Select(view => view.Device.Id));
        var first = others.IsEmpty ? null : await switcher.RequestAsync(new(others, Owner.Host, gesture) { Uid = uid });
        if (storage.IsEmpty && first is not null) return first;
        await EjectAsync(storage);
        var second = await switcher.RequestAsync(new([.. storage.Select(view => view.Device.Id)], Owner.Host, gesture) { Uid = uid });
        return first is null ? second : Together(first, second);
    }

    private static Handoff Together(Handoff first, Handoff second) => second with
    {
        Devices = [.. first.Devices, .. second.Devices],
        From = [.. first.From, .. second.From],
        Outcome = second.Outcome == Outcome.Unchanged ? first.Outcome : second.Outcome,
        Started = first.Started,
        Duration = second.Started + second.Duration - first.Started,
        Steps = [.. first.Steps, .. second.Steps],
    };

    /// <summary>The storage among these that another than <paramref name="to"/> holds.</summary>
    private ImmutableArray<DeviceView> StorageAmong(ImmutableArray<DeviceId> devices, Owner to)
    {
        var snapshot = switcher.Current;
        return [.. devices.Select(snapshot.Find).OfType<DeviceView>().Where(
            view => view is { Device.Class: DeviceClass.Storage, Placement.Machine: { } holder } && holder != to)];
    }

    /// <summary>Asks the guests that hold these to let go of them.</summary>
    /// <exception cref="SwitchException">One keeps it.</exception>
    private async Task EjectAsync(ImmutableArray<DeviceView> storage)
    {
        foreach (var view in storage) await sides[view.Placement.Machine!.Value].EjectAsync(view.Device, CancellationToken.None);
    }

    /// <exception cref="SwitchException">No such machine, or none named and there isn't exactly one.</exception>
    public MachineOptions Machine(string name)
    {
        var machines = configuration.Machines;
        if (name.Length == 0)
        {
            return machines.Length switch
            {
                1 => machines[0],
                0 => throw new SwitchException(Failure.Usage, "the configuration has no machine; add a [machine.NAME] section"),
                _ => throw new SwitchException(Failure.Usage, $"which machine? There are {List(machines.Select(machine => machine.Id.Value))}"),
            };
        }

        return machines.FirstOrDefault(machine => machine.Id.Value == name) ?? throw Unknown("machine", name, machines.Select(machine => machine.Id.Value));
    }

    private ImmutableArray<DeviceId> Resolve(IReadOnlyCollection<string> targets) =>
        Resolve(targets, NamesAmong([.. configuration.Devices.Select(device => device.Id)]));

    /// <param name="known">The names that whoever asks may learn from the answer.</param>
    private ImmutableArray<DeviceId> Resolve(IReadOnlyCollection<string> targets, IEnumerable<string> known)
    {
        if (targets.Count == 0) throw new SwitchException(Failure.Usage, "name at least one device or set");
        return [.. targets.SelectMany(target => configuration.Resolve(target) is { IsEmpty: false } devices
            ? devices
            : throw Unknown("device or set", target, known)).Distinct()];
    }

    /// <summary>These devices, and the sets that consist of them.</summary>
    private IEnumerable<string> NamesAmong(ImmutableArray<DeviceId> devices) => devices.Select(device => device.Value)
        .Concat(configuration.Sets.Where(set => set.Devices.All(devices.Contains)).Select(set => set.Id.Value));

    private static SwitchException Unknown(string what, string name, IEnumerable<string> known)
    {
        var hint = Spelling.Closest(name, known) is { } close ? $"did you mean '{close}'?" : $"there is {List(known)}";
        return new(Failure.Usage, $"there is no {what} '{name}'; {hint}");
    }

    private static string List(IEnumerable<string> names) => string.Join(", ", names) is { Length: > 0 } list ? list : "none";
}
