using System.Collections.Concurrent;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// Threads that wait for work, so that it begins at once, however busy or asleep the pool's are. One is there from the start; when
/// all have work another one comes, and stays.
/// </summary>
internal sealed class StandbyThreads : TaskScheduler, IDisposable
{
    private readonly BlockingCollection<Task> _work = [];
    private readonly string _name;
    private int _waiting;

    public StandbyThreads(string name)
    {
        _name = name;
        Add();
    }

    /// <summary>Does something on one of the threads, up to where it first awaits.</summary>
    /// <returns>Ends with the work.</returns>
    /// <exception cref="InvalidOperationException">Disposed already.</exception>
    public Task Run(Func<Task> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach | TaskCreationOptions.HideScheduler, this).Unwrap();

    /// <summary>The threads end after what they have to do.</summary>
    public void Dispose() => _work.CompleteAdding();

    protected override void QueueTask(Task task)
    {
        if (Interlocked.Decrement(ref _waiting) < 0) Add();
        _work.Add(task);
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks() => _work;

    private void Add()
    {
        Interlocked.Increment(ref _waiting);
        new Thread(Work) { IsBackground = true, Name = _name }.Start();
    }

    private void Work()
    {
        foreach (var task in _work.GetConsumingEnumerable())
        {
            TryExecuteTask(task);
            Interlocked.Increment(ref _waiting);
        }
    }
}
