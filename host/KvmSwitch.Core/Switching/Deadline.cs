namespace KvmSwitch.Core;

/// <summary>Bounds what an edge does, also one that ignores its token.</summary>
internal static class Deadline
{
    /// <param name="what">Begins the sentence that tells what failed.</param>
    /// <param name="abandoned">Is given what still runs after it was given up on.</param>
    /// <exception cref="SwitchException">It failed, or took too long.</exception>
    /// <exception cref="OperationCanceledException">The caller's token was cancelled.</exception>
    public static async Task HoldAsync(
        Func<CancellationToken, Task> act, TimeSpan deadline, string what, TimeProvider clock, CancellationToken cancellationToken,
        Func<Task, Task>? abandoned = null)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var acting = Begin(act, source.Token);
        try
        {
            await acting.WaitAsync(deadline, clock, cancellationToken);
        }
        catch (TimeoutException timeout) when (!acting.IsCompleted)
        {
            throw new SwitchException(Failure.TimedOut, $"{what} took longer than {deadline.TotalSeconds:0.#} s", timeout);
        }
        catch (Exception failure) when (failure is not SwitchException &&
            !(failure is OperationCanceledException && cancellationToken.IsCancellationRequested))
        {
            throw new SwitchException(Failure.Failed, $"{what} failed: {failure.Message}", failure);
        }
        finally
        {
            await source.CancelAsync();
            if (abandoned is not null && !acting.IsCompleted) await abandoned(acting);
        }
    }

    /// <summary>What an edge throws before its first await counts like what it throws after it.</summary>
    private static async Task Begin(Func<CancellationToken, Task> act, CancellationToken cancellationToken) => await act(cancellationToken);
}
