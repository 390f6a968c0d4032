using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// The one loop that reads input, on one thread at a time. It sleeps in poll(2) until a descriptor is readable or somebody has
/// something for it to do. What would block it is done by its own thread at once, while the loop goes on in another one that waits for
/// that: so nothing has to wake up first where each moment is one in which nobody hears a keyboard. When the loop ends, for whatever
/// reason, the last thing that it does is to give back what is grabbed.
/// </summary>
internal sealed class InputLoop : IInputWork, IAsyncDisposable
{
    private readonly ConcurrentQueue<Action> _actions = new();
    private readonly List<IPollee> _pollees = [];
    private readonly StandbyThreads _threads = new("input");
    private readonly SafeFileHandle _wake = Libc.EventDescriptor(0, Libc.EFD_NONBLOCK | Libc.EFD_CLOEXEC);
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeProvider _clock;
    private readonly Action<IPollee, Exception?> _gone;
    private readonly Action _ending;
    private Libc.PollDescriptor[] _entries = [];
    private IPollee[] _polled = [];
    private readonly Queue<Task<Task>> _slow = new();
    private int _isWoken;
    private bool _isChanged = true;
    private volatile bool _isStopping;

    /// <param name="gone">A pollee can't be read any more, or failed with an error; it is polled no longer.</param>
    /// <param name="ending">The last thing that the loop does.</param>
    /// <exception cref="IOException">No descriptor is left.</exception>
    public InputLoop(TimeProvider clock, Action<IPollee, Exception?> gone, Action ending)
    {
        if (_wake.IsInvalid) throw Libc.Error("input can't be read");
        _clock = clock;
        _gone = gone;
        _ending = ending;
        _ = _threads.Run(RunAsync);
    }

    /// <summary>Ends with the loop, and with the error that ended it.</summary>
    public Task Completion => _completion.Task;

    /// <summary>Does something in the loop. From any thread. After the end nothing is done any more.</summary>
    public void Post(Action action)
    {
        _actions.Enqueue(action);
        if (Interlocked.Exchange(ref _isWoken, 1) == 0) Wake();
    }

    /// <summary>Asks something of the loop, and awaits the answer.</summary>
    /// <exception cref="ObjectDisposedException">It has ended.</exception>
    public async Task<T> AskAsync<T>(Func<T> question, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() =>
        {
            try
            {
                answer.TrySetResult(question());
            }
            catch (Exception e)
            {
                answer.TrySetException(e);
            }
        });
        await Task.WhenAny(answer.Task, Completion).WaitAsync(cancellationToken);
        return answer.Task.IsCompleted ? await answer.Task : throw new ObjectDisposedException("the host's input");
    }

    public void Aside(IEnumerable<Func<Task>> works, Action<Exception?> done) => _ = AsideAsync([.. works.Select(Begin)], done);

    public IDisposable After(TimeSpan time, Action action) =>
        _clock.CreateTimer(_ => Post(action), null, time, Timeout.InfiniteTimeSpan);

    public void Poll(IPollee pollee)
    {
        _pollees.Add(pollee);
        _isChanged = true;
    }

    public void Unpoll(IPollee pollee)
    {
        _pollees.Remove(pollee);
        _isChanged = true;
    }

    public async ValueTask DisposeAsync()
    {
        _isStopping = true;
        Wake();
        await Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _threads.Dispose();
        _wake.Dispose();
    }

    private Task Begin(Func<Task> work)
    {
        var slow = new Task<Task>(work, TaskCreationOptions.DenyChildAttach | TaskCreationOptions.HideScheduler);
        _slow.Enqueue(slow);
        return slow.Unwrap();
    }

    private async Task AsideAsync(Task[] works, Action<Exception?> done)
    {
        Exception? error = null;
        try
        {
            await Task.WhenAll(works);
        }
        catch (Exception e)
        {
            error = e;
        }

        Post(() => done(error));
    }

    private unsafe void Wake()
    {
        var one = 1ul;
        // It fails only when it is woken already, or for ever.
        if (!_wake.IsClosed) _ = Libc.Write(_wake, &one, sizeof(ulong));
    }

    private Task RunAsync()
    {
        Exception? error = null;
        try
        {
            // Begun by this thread, so that none of it comes between the loop and its next thread.
            BeginSlow();
            while (!_isStopping)
            {
                Turn();
                if (_slow.Count > 0 && _threads.IsAnyFree)
                {
                    var own = _slow.Dequeue();
                    _ = _threads.Run(RunAsync);
                    own.RunSynchronously(TaskScheduler.Default);
                    return Task.CompletedTask;
                }

                BeginSlow();
            }
        }
        catch (Exception e)
        {
            error = e;
        }

        End(error);
        return Task.CompletedTask;
    }

    private void BeginSlow()
    {
        while (_slow.TryDequeue(out var work)) work.Start(_threads);
    }

    private void End(Exception? error)
    {
        try
        {
            _ending();
        }
        catch (Exception e)
        {
            error ??= e;
        }

        if (error is null) _completion.TrySetResult();
        else _completion.TrySetException(error);
    }

    private void Turn()
    {
        if (_isChanged) Arrange();
        WaitForInput();
        // Only now: what is added or closed meanwhile isn't in the entries.
        for (var i = 0; i < _polled.Length; i++)
        {
            if (_entries[i + 1].Happened != 0) Pump(_polled[i]);
        }

        if (_entries[0].Happened != 0) Obey();
    }

    private void Arrange()
    {
        _isChanged = false;
        _polled = [.. _pollees];
        _entries = new Libc.PollDescriptor[_polled.Length + 1];
        _entries[0] = Entry(_wake);
        for (var i = 0; i < _polled.Length; i++) _entries[i + 1] = Entry(_polled[i].Handle);
    }

    private unsafe void WaitForInput()
    {
        fixed (Libc.PollDescriptor* first = _entries)
        {
            if (Libc.Poll(first, (nuint)_entries.Length, -1) >= 0) return;
            if (Marshal.GetLastPInvokeError() != Libc.EINTR) throw Libc.Error("input can't be read");
        }

        foreach (ref var entry in _entries.AsSpan()) entry.Happened = 0;
    }

    private void Pump(IPollee pollee)
    {
        Exception? error = null;
        try
        {
            if (pollee.Pump()) return;
        }
        catch (Exception e)
        {
            // One device must not silence the others.
            error = e;
        }

        Unpoll(pollee);
        _gone(pollee, error);
    }

    private unsafe void Obey()
    {
        ulong count;
        _ = Libc.Read(_wake, &count, sizeof(ulong));
        Volatile.Write(ref _isWoken, 0);
        Interlocked.MemoryBarrier();
        for (var left = _actions.Count; left > 0 && _slow.Count == 0 && _actions.TryDequeue(out var action); left--) action();
        if (!_actions.IsEmpty && Interlocked.Exchange(ref _isWoken, 1) == 0) Wake();
    }

    // Open as long as it is polled: who closes one takes it out first, on this thread.
    private static Libc.PollDescriptor Entry(SafeHandle handle) => new() { Descriptor = (int)handle.DangerousGetHandle(), Events = Libc.POLLIN };
}
