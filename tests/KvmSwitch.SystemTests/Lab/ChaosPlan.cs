namespace KvmSwitch.SystemTests.Lab;

/// <summary>What a person, or fate, does next.</summary>
internal enum ChaosAct
{
    Give,
    Take,
    TakeAll,
    Toggle,
    TwoAtOnce,
    HoldKey,
    ReleaseKeys,
    Unplug,
    Plug,
    ChangeDisc,
    TakeWhileQemuHangs,
    TakeWhileGuestIsPaused,
    GiveWhileDiskIsFull,
    KillAgent,
    KillDaemon,
    KillQemu,
    PanicGuest,
}

/// <param name="Act">What is done.</param>
/// <param name="Subject">A device, a set, a keyboard or a disc; empty where it needs none.</param>
/// <param name="Other">The second device of two at once.</param>
internal sealed record ChaosStep(ChaosAct Act, string Subject = "", string Other = "")
{
    public override string ToString() => $"{Act} {Subject} {Other}".TrimEnd();
}

/// <summary>Steps from a seed: the same seed, the same steps.</summary>
internal static class ChaosPlan
{
    /// <summary>Devices and sets that are handed over, of every route.</summary>
    public static readonly string[] Targets =
        ["left", "right", "mouse", "board", "trackball", "knot", "stick", "audio", "card", "typing", "disc", "desk"];

    public static readonly string[] Keyboards = ["twin-left", "twin-right", "board", "relay-board", "card-board"];

    private static readonly string[] Plugs = ["twin-left", "twin-right", "mouse", "stick", "relay-board"];

    // After the last three the guest boots anew, which takes half a minute.
    private static readonly (ChaosAct Act, int Weight)[] Weights =
    [
        (ChaosAct.Give, 30), (ChaosAct.Take, 10), (ChaosAct.TakeAll, 5), (ChaosAct.Toggle, 8), (ChaosAct.TwoAtOnce, 10),
        (ChaosAct.HoldKey, 10), (ChaosAct.ReleaseKeys, 8), (ChaosAct.Unplug, 8), (ChaosAct.Plug, 8), (ChaosAct.ChangeDisc, 6),
        (ChaosAct.TakeWhileQemuHangs, 3), (ChaosAct.TakeWhileGuestIsPaused, 3), (ChaosAct.GiveWhileDiskIsFull, 4),
        (ChaosAct.KillAgent, 3), (ChaosAct.KillDaemon, 4), (ChaosAct.KillQemu, 3), (ChaosAct.PanicGuest, 2),
    ];

    public static IEnumerable<ChaosStep> Steps(int seed, int count)
    {
        var random = new Random(seed);
        for (var number = 0; number < count; number++) yield return Next(random);
    }

    private static ChaosStep Next(Random random)
    {
        var act = Draw(random);
        return act switch
        {
            ChaosAct.Give or ChaosAct.Take or ChaosAct.Toggle or ChaosAct.GiveWhileDiskIsFull => new(act, Of(Targets, random)),
            ChaosAct.TwoAtOnce => new(act, Of(Targets, random), Of(Targets, random)),
            ChaosAct.TakeWhileQemuHangs or ChaosAct.TakeWhileGuestIsPaused => new(act, Of(Targets, random)),
            ChaosAct.HoldKey => new(act, Of(Keyboards, random)),
            ChaosAct.Unplug or ChaosAct.Plug => new(act, Of(Plugs, random)),
            ChaosAct.ChangeDisc => new(act, Of(["1", "2", "3", ""], random)),
            _ => new(act),
        };
    }

    private static ChaosAct Draw(Random random)
    {
        var drawn = random.Next(Weights.Sum(entry => entry.Weight));
        return Weights.First(entry => (drawn -= entry.Weight) < 0).Act;
    }

    private static string Of(string[] choices, Random random) => choices[random.Next(choices.Length)];
}
