using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>What an agent tells that only the log is interested in. A flood of it fills no log.</summary>
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

    public void Take(HotkeyReport report)
    {
        foreach (var trouble in report.Troubles.Take(MaxHotkeys))
        {
            if (!allowance.TryTake()) return;
            log.HotkeyTrouble(machine, Text.Clean(trouble.Chord, MaxText), Text.Clean(trouble.Reason, MaxText));
        }
    }
}
