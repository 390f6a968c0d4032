using System.Text.Json;

namespace KvmSwitch.Qmp.Protocol;

/// <summary>The commands that still wait for their answer. Holds no more than there are waiting callers.</summary>
internal sealed class PendingReplies
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (string Command, TaskCompletionSource<JsonElement> Reply)> _waiting = new(StringComparer.Ordinal);
    private QmpDisconnectedException? _reason;
    private long _ignored;

    /// <summary>Answers that nobody waited for: late, doubled, or with an id that was never used.</summary>
    internal long Ignored => Interlocked.Read(ref _ignored);

    internal Task<JsonElement> Add(string id, string command)
    {
        var reply = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_reason is { } reason)
            {
                return Task.FromException<JsonElement>(reason);
            }

            _waiting.Add(id, (command, reply));
        }

        return reply.Task;
    }

    internal void Abandon(string id)
    {
        lock (_gate)
        {
            _waiting.Remove(id);
        }
    }

    internal void Answer(QmpMessage.Return answer)
    {
        if (Take(answer.Id) is { } waiting)
        {
            waiting.Reply.TrySetResult(answer.Value.Clone());
        }
    }

    internal void Refuse(QmpMessage.Error error)
    {
        if (Take(error.Id) is { } waiting)
        {
            waiting.Reply.TrySetException(new QmpCommandException(waiting.Command, error.ErrorClass, error.Description));
        }
    }

    internal void Close(QmpDisconnectedException reason)
    {
        TaskCompletionSource<JsonElement>[] replies;
        lock (_gate)
        {
            _reason = reason;
            replies = [.. _waiting.Values.Select(waiting => waiting.Reply)];
            _waiting.Clear();
        }

        foreach (var reply in replies)
        {
            reply.TrySetException(reason);
        }
    }

    private (string Command, TaskCompletionSource<JsonElement> Reply)? Take(string? id)
    {
        lock (_gate)
        {
            if (id is not null && _waiting.Remove(id, out var waiting))
            {
                return waiting;
            }
        }

        Interlocked.Increment(ref _ignored);
        return null;
    }
}
