using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Guests;

/// <summary>Event ids 2000 to 2099.</summary>
internal static partial class GuestLog
{
    [LoggerMessage(2000, LogLevel.Information, "Agent of {Machine} connected from {Peer}: session {Session}, version {Version}, {OperatingSystem}, certificate {Certificate}")]
    public static partial void AgentConnected(
        this ILogger log, MachineId machine, string peer, long session, string version, string operatingSystem, string certificate);

    [LoggerMessage(2001, LogLevel.Information, "Agent of {Machine} at {Peer} is gone: session {Session}, {Code}, {Why}")]
    public static partial void AgentGone(this ILogger log, MachineId machine, string peer, long session, Grpc.Core.StatusCode code, string why);

    [LoggerMessage(2002, LogLevel.Warning, "Refused {Peer}: {Code}, {Why}; {Unlogged} refusals before it were not logged")]
    public static partial void Refused(this ILogger log, string peer, Grpc.Core.StatusCode code, string why, int unlogged);

    [LoggerMessage(2003, LogLevel.Information, "Guest {HostName} at {Peer} was paired as {Machine}")]
    public static partial void Paired(this ILogger log, string hostName, string peer, string machine);

    [LoggerMessage(2004, LogLevel.Information, "Agent of {Machine} asks to {Verb} {Targets} by {Gesture}: {Outcome}")]
    public static partial void Requested(
        this ILogger log, MachineId machine, Proto.V1.GuestAction.Types.Verb verb, string targets, string gesture, string outcome);

    [LoggerMessage(2006, LogLevel.Information, "Guest {Machine}: {Event}")]
    public static partial void SessionEvent(this ILogger log, MachineId machine, Proto.V1.SessionEvent.Types.Kind @event);

    [LoggerMessage(2007, LogLevel.Warning, "Hotkey {Chord} does not work in {Machine}: {Reason}")]
    public static partial void HotkeyTrouble(this ILogger log, MachineId machine, string chord, string reason);

    [LoggerMessage(2008, LogLevel.Information, "Agent of {Machine} was asked to eject {Device}: {Outcome}")]
    public static partial void Ejected(this ILogger log, MachineId machine, DeviceId device, string outcome);

    [LoggerMessage(2005, LogLevel.Error, "The request of {Machine}'s agent failed unexpectedly")]
    public static partial void RequestFailed(this ILogger log, MachineId machine, Exception exception);
}
