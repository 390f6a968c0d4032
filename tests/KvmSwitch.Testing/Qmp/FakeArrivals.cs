namespace KvmSwitch.Testing.Qmp;

/// <summary>Those who wait for a command to come.</summary>
internal sealed class FakeArrivals
{
    private readonly List<(string Command, int Times, TaskCompletionSource Came)> _waiting = [];

    internal Task Add(string command, int times, int already)
    {
        if (already >= times)
        {
            return Task.CompletedTask;
        }

        var came = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Add((command, times, came));
        return came.Task;
    }

    internal void Tell(string command, int count)
    {
        foreach (var (_, _, came) in _waiting.Where(one => one.Command == command && one.Times <= count))
        {
            came.TrySetResult();
        }

        _waiting.RemoveAll(one => one.Came.Task.IsCompleted);
    }
}
