namespace KvmSwitch.SystemTests;

/// <summary>What has to be done when a condition that a test made is over.</summary>
internal sealed class Ending(Func<Task> over) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => new(over());
}
