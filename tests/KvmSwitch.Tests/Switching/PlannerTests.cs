using System.Collections.Immutable;
using CsCheck;
using KvmSwitch.Core;
using Xunit;
using static KvmSwitch.Tests.Switching.SwitchRig;

namespace KvmSwitch.Tests.Switching;

public sealed class PlannerTests
{
    private static readonly MachineId[] Machines = [A, B, MachineId.Parse("gamma")];
    private static readonly Gen<MachineId> GenMachine = Gen.OneOf(Machines);
    private static readonly Gen<Observation> GenSeen = Gen.Select(
        Gen.Enum<HostSight>(), Gen.Bool.Array[3],
        (host, holds) => new Observation(host, [.. Machines.Where((_, index) => holds[index])]));

    private static readonly Gen<Owner> GenOwner = Gen.OneOf(Gen.Const(Owner.Host), GenMachine.Select(machine => (Owner)machine));
    private static readonly Gen<ImmutableArray<Move>> GenMoves = Gen.Select(GenSeen, GenOwner).Array[1, 3].Select(
        pairs => pairs.Select((pair, index) => new Move(new[] { Keyboard, Trackball, Disk }[index], pair.Item1, pair.Item2)).ToImmutableArray());

    [Fact]
    public void Carrying_out_the_plan_leads_to_what_is_desired_and_never_pulls_a_device_from_where_it_may_stay() => GenMoves.Sample(moves =>
    {
        var model = moves.ToDictionary(move => move.Device.Id, move => new Place(move.Observed));
        foreach (var step in Planner.Plan(moves, (_, _) => true)) model[step.Device.Id].Do(step);
        foreach (var move in moves)
        {
            var place = model[move.Device.Id];
            if (move.Desired.Machine is { } machine) Assert.Equal([machine], place.Holders);
            else Assert.True(place.Holders.Count == 0 && place.Host != HostSight.Unserved);
        }
    });

    [Fact]
    public void There_is_nothing_to_do_when_all_is_right_and_something_when_it_is_not() => GenMoves.Sample(moves =>
    {
        var right = moves.All(move => move.Observed.IsAt(move.Desired) ||
            (move.Desired.IsHost && move.Observed is { Host: HostSight.Absent, Machines.IsEmpty: true }));
        Assert.Equal(right, Planner.Plan(moves, (_, _) => true).IsEmpty);
    });

    [Fact]
    public void Detaching_comes_first_then_home_then_attaching_then_confirming() => GenMoves.Sample(moves =>
    {
        var order = Planner.Plan(moves, (_, _) => true).Select(step => Array.IndexOf(["detach", "home", "attach", "confirm"], step.Name)).ToArray();
        Assert.Equal(order.Order(), order);
    });

    [Fact]
    public void Only_a_machine_that_can_is_asked_to_confirm() => Gen.Select(GenMoves, GenMachine).Sample((moves, able) =>
    {
        var plan = Planner.Plan(moves, (_, machine) => machine == able);
        var arriving = plan.OfType<Step.Attach>().Where(step => step.To == able).Select(step => step.Device.Id);
        Assert.Equal(arriving, plan.OfType<Step.Confirm>().Select(step => step.Device.Id));
    });

    [Fact]
    public void Taking_back_any_beginning_of_a_plan_leads_to_where_it_was_or_home() => Gen
        .Select(GenOwner, GenMachine, Gen.Int[0, 4], Gen.Bool, Gen.Bool)
        .Sample((from, to, length, lastHappened, returns) =>
        {
            var seen = from.Machine is { } source ? new Observation(HostSight.Unserved, [source]) : new(HostSight.Served, []);
            var begun = Planner.Plan([new(Keyboard, seen, to)], (_, _) => true).Take(length).ToArray();
            var place = new Place(seen);
            foreach (var step in begun.SkipLast(lastHappened ? 0 : 1)) place.Do(step);
            foreach (var undo in begun.Reverse().SelectMany(step => Planner.Undo(step, _ => returns))) place.Do(undo);
            var back = from.Machine is { } machine && (returns || begun.Length == 0) ? [machine] : Array.Empty<MachineId>();
            if (from == to) Assert.Empty(begun);
            else Assert.Equal(begun.Length == 0 ? seen.Machines : back.ToImmutableHashSet(), place.Holders.ToImmutableHashSet());
            Assert.True(place.Holders.Count > 0 || place.Host == HostSight.Served);
        });

    /// <summary>Where one device is, and what a step does to that.</summary>
    private sealed class Place(Observation seen)
    {
        public HashSet<MachineId> Holders { get; } = [.. seen.Machines];

        public HostSight Host { get; private set; } = seen.Host;

        public void Do(Step step)
        {
            switch (step)
            {
                case Step.Detach detach:
                    Holders.Remove(detach.From);
                    break;
                case Step.Restore:
                    Assert.True(Holders.Count == 0, "brought home while a machine has it");
                    Host = HostSight.Served;
                    break;
                case Step.Attach attach:
                    Assert.True(Holders.All(holder => holder == attach.To), "attached while another machine has it");
                    Holders.Add(attach.To);
                    Host = HostSight.Unserved;
                    break;
                case Step.Confirm confirm:
                    Assert.Contains(confirm.To, Holders);
                    break;
                default:
                    Assert.Fail($"unknown step {step}");
                    break;
            }
        }
    }
}
