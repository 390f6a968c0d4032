using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// Threads that wait for work, so that it begins at once, however busy or asleep the pool's are. One is there from the start; when
/// all have work another one comes, up to four, and stays. They wait in the kernel (eventfd(2)), which is one switch of threads away.
/// </summary>
internal sealed class StandbyThreads : TaskScheduler, IDisposable
{
    // One reads input, and a keyboard's receiver has three event nodes.
    private const int Most = 5;
    private readonly ConcurrentQueue<Task> _work = new();
    private readonly SafeFileHandle _wake = Libc.EventDescriptor(0, Libc.EFD_SEMAPHORE | Libc.EFD_CLOEXEC);
    private readonly string _name;
    private int _threads;

    // Threads less works.
    private int _waiting;
    private volatile bool _isOver;

    /// <exception cref="IOException">No descriptor is left.</exception>
    public StandbyThreads(string name)
    {
        if (_wake.IsInvalid) throw Libc.Error("no thread can wait");
        _name = name;
        Add();
    }

    /// <summary>Work that is asked for now begins at once. Others than the one who asks must not ask for any meanwhile.</summary>
    public bool IsAnyFree => Volatile.Read(ref _waiting) > 0 || Volatile.Read(ref _threads) < Most;

    /// <summary>Does something on one of the threads, up to where it first awaits.</summary>
    /// <returns>Ends with the work.</returns>
    public Task Run(Func<Task> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach | TaskCreationOptions.HideScheduler, this).Unwrap();

    /// <summary>The threads end after what they have to do; nothing new may be asked of them.</summary>
    public void Dispose()
    {
        _isOver = true;
        Wake(Volatile.Read(ref _threads));
    }

    protected override void QueueTask(Task task)
    {
        if (Interlocked.Decrement(ref _waiting) < 1 && Volatile.Read(ref _threads) < Most) Add();
        _work.Enqueue(task);
        Wake(1);
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks() => _work;

    private void Add()
    {
        Interlocked.Increment(ref _waiting);
        Interlocked.Increment(ref _threads);
        new Thread(Work) { IsBackground = true, Name = _name }.Start();
    }

    // Each thread that ends or finds nothing to do has taken one count of the descriptor; the last one to end closes it.
    private void Work()
    {
        while (Wait() && (_work.TryDequeue(out var task) || !_isOver))
        {
            if (task is null) continue;
            TryExecuteTask(task);
            Interlocked.Increment(ref _waiting);
        }

        if (Interlocked.Decrement(ref _threads) == 0) _wake.Dispose();
    }

    private unsafe void Wake(int threads)
    {
        var count = (ulong)threads;
        _ = Libc.Write(_wake, &count, sizeof(ulong));
    }

    /// <returns>False when waiting is not possible any more.</returns>
    private unsafe bool Wait()
    {
        ulong count;
        while (Libc.Read(_wake, &count, sizeof(ulong)) < 0)
        {
            if (System.Runtime.InteropServices.Marshal.GetLastPInvokeError() != Libc.EINTR) return false;
        }

        return true;
    }
}
