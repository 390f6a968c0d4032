using System.Collections.Concurrent;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>What one agent was asked to eject. Safe from any thread.</summary>
internal sealed class GuestEjects
{
    private const int MaxError = 200;

    private readonly ConcurrentDictionary<ulong, TaskCompletionSource<string?>> asked = [];
    private long last;
    private volatile bool ended;

    /// <summary>Asks, by whatever sends the request.</summary>
    /// <returns>Null when the guest let go, or its link ended and nobody is left to ask; else why not, one sentence.</returns>
    public async Task<string?> AskAsync(string key, Action<HostMessage> send, CancellationToken cancellationToken)
    {
        var id = (ulong)Interlocked.Increment(ref last);
        var answer = asked[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            if (ended) return null;
            send(new HostMessage { Eject = new() { Id = id, Key = key } });
            return await answer.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            asked.TryRemove(id, out _);
        }
    }

    public void Take(EjectReply reply)
    {
        if (!asked.TryGetValue(reply.Id, out var answer)) return;
        var error = Text.Clean(reply.Error, MaxError);
        answer.TrySetResult(reply.Ok ? null : error.Length > 0 ? error : "It does not say why.");
    }

    public void End()
    {
        ended = true;
        foreach (var answer in asked.Values) answer.TrySetResult(null);
    }
}
