using CsCheck;
using KvmSwitch.Core;
using KvmSwitch.Linux.Input;
using KvmSwitch.Testing.Linux.Input;
using Xunit;

namespace KvmSwitch.Tests.Input;

/// <summary>Whatever happens, in whatever order: no key sticks anywhere, and none is heard on both sides.</summary>
public sealed class RelayPropertyTests
{
    private static readonly int[] Keys = [29, 56, 35, 30, 42, 97];

    // What the host shows on a keyboard that is at home.
    private const LockLeds HostLeds = LockLeds.Num;

    // Of the kinds of events, the last two are keys that go down at the very moment of a grab.
    private const int Certain = 17, All = 19;

    [Fact]
    public void Every_key_that_goes_down_on_a_side_goes_up_there_and_is_heard_on_one_side_alone() => Lives(Certain).Sample(
        life =>
        {
            using var bench = Live(life);
            Holds(IsBalanced(bench.Host), "down and up don't alternate on the host", bench, life);
        },
        iter: 4000);

    /// <summary>Whether the host has seen such a key nobody can know, so it may be told twice that it is up; all else holds.</summary>
    [Fact]
    public void A_key_that_goes_down_at_the_very_moment_of_a_grab_sticks_nowhere_either() => Lives(All).Sample(
        life =>
        {
            using var bench = Live(life);
        },
        iter: 4000);

    private static Gen<(int Kind, int Key)[]> Lives(int kinds) =>
        Gen.Select(Gen.Int[0, kinds], Gen.Int[0, Keys.Length - 1]).Array[0, 120];

    /// <summary>A life of a keyboard, until all its keys are up and it is home; with all that has to hold for any.</summary>
    private static RelayBench Live((int Kind, int Key)[] life)
    {
        var bench = new RelayBench { HostLeds = HostLeds };
        bench.Hotkeys.Watch([Chord.Parse("ctrl+alt+h"), Chord.Parse("rightctrl rightctrl"), Chord.Parse("leftshift+leftctrl")]);
        var keyboard = bench.Plug();
        var clock = keyboard.Clock;
        foreach (var (kind, key) in life)
        {
            Act(bench, ref keyboard, kind, Keys[key]);
            // No two events of a life have the same time, also of two plug-ins.
            clock = keyboard.Clock = Math.Max(clock, keyboard.Clock) + 1;
        }

        var whileHeld = Rest(bench);
        Holds(whileHeld.IsSubsetOf(keyboard.Held), "a key is down that no finger is on", bench, life);
        foreach (var key in Keys) keyboard.Release(key);
        Holds(Rest(bench).Count == 0, "a key stuck", bench, life);
        Holds(HeardTwice(bench) == 0, "both sides heard one press", bench, life);
        Holds(bench.Kernel.Clones.All(clone => IsBalanced(clone.Guest)), "down and up don't alternate in the guest", bench, life);
        Holds(!keyboard.IsGrabbed, "still grabbed", bench, life);
        Holds((LockLeds)keyboard.Leds == HostLeds, "the host's leds are not as they were", bench, life);
        return bench;
    }

    private static void Holds(bool condition, string what, RelayBench bench, (int Kind, int Key)[] life)
    {
        if (!condition) Assert.Fail(Story(what, bench, life));
    }

    private static string Story(string what, RelayBench bench, (int Kind, int Key)[] life) =>
        $"{what}; host {bench.Host.Keys}; guest {string.Join(" | ", bench.Kernel.Clones.Select(clone => clone.Guest.Keys))}; {string.Join(' ', life)}";

    private static void Act(RelayBench bench, ref FakeInputDevice keyboard, int kind, int key)
    {
        var now = keyboard;
        switch (kind)
        {
            case <= 4: now.Press(key); break;
            case <= 7: now.Release(key); break;
            case 8: now.Repeat(key); break;
            case <= 10: bench.Pump(); break;
            case 11:
                _ = bench.Relay.OfferAsync();
                bench.Relay.ShowLeds(RelayBench.Machine, (LockLeds)(key % 8));
                break;
            case <= 13: _ = bench.Relay.LendAsync(RelayBench.Machine); break;
            case 14: _ = bench.Relay.ReturnAsync(); break;
            case 15: bench.Work.Step(); break;
            case 16: bench.Work.RunTimers(); break;
            case 18: now.BeforeGrab = () => now.Press(key); break;
            case 19: now.AfterGrab = () => now.Press(key); break;
            default:
                if (key < 60) now.Overrun();
                if (key > 60)
                {
                    now.Unplug();
                    bench.Pump();
                    keyboard = bench.Plug();
                }

                break;
        }
    }

    /// <summary>Lets everything come to rest at home. The keys that some side believes to be down.</summary>
    private static HashSet<int> Rest(RelayBench bench)
    {
        for (var i = 0; i < 4; i++)
        {
            bench.Pump();
            _ = bench.Relay.ReturnAsync();
            bench.Work.Finish();
        }

        return [.. bench.Host.Down, .. bench.Kernel.Clones.SelectMany(clone => clone.Guest.Down)];
    }

    private static int HeardTwice(RelayBench bench)
    {
        var guest = bench.Kernel.Clones.SelectMany(clone => Presses(clone.Guest)).ToHashSet();
        return Presses(bench.Host).Count(guest.Contains);
    }

    private static IEnumerable<(long, int)> Presses(EventLog log) =>
        log.All.Where(one => one is { Type: EventType.Key, Value: 1 }).Select(one => (one.Milliseconds, (int)one.Code));

    private static bool IsBalanced(EventLog log)
    {
        var down = new HashSet<int>();
        foreach (var key in log.All.Where(one => one is { Type: EventType.Key, Value: 0 or 1 }))
        {
            if (!(key.Value == 1 ? down.Add(key.Code) : down.Remove(key.Code))) return false;
        }

        return true;
    }
}
