using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>What one guest asks for: one thing at a time, a few in a row, each answered once.</summary>
internal sealed class GuestRequests(
    GuestLink link, IGuestListener listener, TimeProvider time, ILogger log, CancellationToken daemonStops)
{
    private const int MaxTargets = 64;
    private const int MaxTargetLength = 64;
    private const int InARow = 5;
    private const double PerSecond = 2;

    private readonly TokenBucket allowance = new(InARow, PerSecond, time);
    private int underWay;

    /// <summary>Begins it, or refuses; never waits.</summary>
    public void Take(GuestRequest request)
    {
        if (Objection(request) is { } objection) Answer(request.Id, objection);
        else if (!allowance.TryTake()) Answer(request.Id, "The guest asks too often; wait a second.");
        else if (Interlocked.Exchange(ref underWay, 1) == 1) Answer(request.Id, "The host is still busy with this guest's last request.");
        // Not awaited: heartbeats go on meanwhile. It answers its own errors.
        else _ = HandleAsync(request);
    }

    private static string? Objection(GuestRequest request) => request.Action switch
    {
        null or { Verb: not (GuestAction.Types.Verb.Return or GuestAction.Types.Verb.Request) } =>
            "The host doesn't know this request; is the agent newer than the host?",
        { Targets: { Count: > MaxTargets } targets } => $"The guest named {targets.Count} targets; at most {MaxTargets} are possible.",
        { Targets: var targets } when targets.Any(t => t.Length is 0 or > MaxTargetLength) => "The guest named a target that can't exist.",
        _ => null,
    };

    private static string Gesture(string word) => word is "hotkey" or "tray" or "cli" ? word : "agent";

    private async Task HandleAsync(GuestRequest request)
    {
        // The reader of the link goes on at once, whatever the listener does before its first wait.
        await Task.Yield();
        string? error = null;
        try
        {
            await listener.HandleRequestAsync(link.Machine, request.Action, Gesture(request.Gesture), daemonStops);
        }
        catch (SwitchException e)
        {
            error = e.Message;
        }
        catch (OperationCanceledException) when (daemonStops.IsCancellationRequested)
        {
            error = "The host's daemon is stopping.";
        }
        catch (Exception e)
        {
            log.RequestFailed(link.Machine, e);
            error = "The host failed to do that; its log tells why.";
        }

        var targets = request.Action.Targets.Count == 0 ? "everything" : Text.Clean(string.Join(", ", request.Action.Targets), 200);
        log.Requested(link.Machine, request.Action.Verb, targets, Gesture(request.Gesture), error ?? "done");
        Volatile.Write(ref underWay, 0);
        Answer(request.Id, error);
    }

    private void Answer(ulong id, string? error) =>
        link.Send(new HostMessage { Reply = new GuestReply { Id = id, Ok = error is null, Error = error ?? "" } });
}
