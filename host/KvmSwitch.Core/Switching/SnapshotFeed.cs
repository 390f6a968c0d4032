using System.Runtime.CompilerServices;

namespace KvmSwitch.Core;

/// <summary>The latest snapshot, and a wait for the next. Readers never hold up the writer; slow ones skip to the latest.</summary>
public sealed class SnapshotFeed<T>(T first)
    where T : class
{
    private volatile Node _node = new(first);

    public T Current => _node.Value;

    /// <summary>The snapshot now, and again after every change, until cancelled.</summary>
    public async IAsyncEnumerable<T> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var node = _node;
        while (true)
        {
            yield return node.Value;
            await node.Replaced.Task.WaitAsync(cancellationToken);
            node = _node;
        }
    }

    /// <summary>One writer only.</summary>
    internal void Publish(T value)
    {
        var old = _node;
        _node = new(value);
        old.Replaced.SetResult();
    }

    private sealed class Node(T value)
    {
        public T Value { get; } = value;

        public TaskCompletionSource Replaced { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
