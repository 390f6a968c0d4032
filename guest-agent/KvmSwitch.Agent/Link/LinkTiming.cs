using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Link;

/// <summary>The host's pace, kept within sane bounds whatever it says.</summary>
/// <param name="Heartbeat">Between two heartbeats.</param>
/// <param name="Lease">How long the host may be silent.</param>
internal readonly record struct LinkTiming(TimeSpan Heartbeat, TimeSpan Lease)
{
    private const uint DefaultHeartbeat = 500;
    private const uint DefaultLease = 2000;

    public static LinkTiming Of(Welcome welcome)
    {
        var heartbeat = Math.Clamp(welcome.HeartbeatIntervalMs == 0 ? DefaultHeartbeat : welcome.HeartbeatIntervalMs, 20, 60_000);
        var lease = Math.Clamp(welcome.LeaseMs == 0 ? DefaultLease : welcome.LeaseMs, 2 * heartbeat, 600_000);
        return new(TimeSpan.FromMilliseconds(heartbeat), TimeSpan.FromMilliseconds(lease));
    }
}
