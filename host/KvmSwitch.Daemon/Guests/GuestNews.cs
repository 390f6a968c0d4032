using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>A hotkey that doesn't work in a guest.</summary>
internal sealed record HotkeyTrouble(string Chord, string Reason);

/// <summary>What an agent tells that moves nothing: it is for the log. A flood of it fills none.</summary>
internal sealed class GuestNews(MachineId machine, TimeProvider time, ILogger log)
{
    private const int MaxText = 128;
    private const int MaxHotkeys = 64;

    private readonly TokenBucket allowance = new(20, 0.5, time);

    public void Take(SessionEvent happened)
    {
        if (Enum.IsDefined(happened.Kind) && happened.Kind != SessionEvent.Types.Kind.Unspecified && allowance.TryTake())
            log.SessionEvent(machine, happened.Kind);
    }

    /// <returns>What was reported, fit to be shown.</returns>
    public ImmutableArray<HotkeyTrouble> Take(HotkeyReport report)
    {
        ImmutableArray<HotkeyTrouble> troubles =
            [.. report.Troubles.Take(MaxHotkeys).Select(trouble => new HotkeyTrouble(Text.Clean(trouble.Chord, MaxText), Text.Clean(trouble.Reason, MaxText)))];
        foreach (var trouble in troubles)
        {
            if (!allowance.TryTake()) break;
            log.HotkeyTrouble(machine, trouble.Chord, trouble.Reason);
        }

        return troubles;
    }
}
