namespace KvmSwitch.Agent.Enrolment;

/// <summary>Tells when the stored identity may have changed. A hint to look again, nothing more.</summary>
internal sealed class IdentityWatch : IDisposable
{
    private readonly FileSystemWatcher watcher;
    private volatile TaskCompletionSource changed = NewSignal();

    /// <exception cref="BadIdentityException">The directory can't be made or watched.</exception>
    public IdentityWatch(IdentityStore store)
    {
        store.Prepare();
        watcher = new(store.Directory, IdentityStore.FileName) { NotifyFilter = NotifyFilters.FileName | NotifyFilters.LastWrite };
        watcher.Created += (_, _) => Signal();
        watcher.Changed += (_, _) => Signal();
        watcher.Deleted += (_, _) => Signal();
        watcher.Renamed += (_, _) => Signal();
        watcher.Error += (_, _) => Signal();
        try
        {
            watcher.EnableRaisingEvents = true;
        }
        catch (IOException refused)
        {
            watcher.Dispose();
            throw new BadIdentityException($"The state directory {store.Directory} can't be watched: {refused.Message}", refused);
        }
    }

    /// <summary>Ends at the next change after the call. Take it before reading what is stored.</summary>
    public Task NextChange => changed.Task;

    public void Dispose() => watcher.Dispose();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Signal() => Interlocked.Exchange(ref changed, NewSignal()).TrySetResult();
}
