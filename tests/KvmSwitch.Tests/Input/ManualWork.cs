using KvmSwitch.Linux.Input;

namespace KvmSwitch.Tests.Input;

/// <summary>Does what a relay asks for when the test says so, on the test's thread.</summary>
internal sealed class ManualWork : IInputWork
{
    private readonly Queue<Action> _aside = new();
    private readonly Queue<Action> _done = new();
    private readonly List<(object Key, Action Action)> _timers = [];

    /// <summary>Work that is yet to begin, or whose end is yet to be told.</summary>
    public bool IsAnyLeft => _aside.Count + _done.Count > 0;

    public void Aside(IEnumerable<Func<Task>> works, Action<Exception?> done) => _aside.Enqueue(() =>
    {
        Exception? error = null;
        foreach (var work in works)
        {
            try
            {
                work().GetAwaiter().GetResult();
            }
            catch (Exception e)
            {
                error ??= e;
            }
        }

        _done.Enqueue(() => done(error));
    });

    public IDisposable After(TimeSpan time, Action action)
    {
        var key = new Timer(_ => { });
        _timers.Add((key, action));
        return key;
    }

    public void Poll(IPollee pollee)
    {
        // The test reads the clones itself.
    }

    public void Unpoll(IPollee pollee)
    {
        // As above.
    }

    /// <summary>Does one piece of work, or tells the end of one.</summary>
    public void Step()
    {
        if (_done.TryDequeue(out var done)) done();
        else if (_aside.TryDequeue(out var work)) work();
    }

    public void Finish()
    {
        while (IsAnyLeft) Step();
    }

    /// <summary>The time of all timers is over; one that was stopped meanwhile must bear it.</summary>
    public void RunTimers()
    {
        var due = _timers.ToArray();
        _timers.Clear();
        foreach (var (_, action) in due) action();
    }
}
