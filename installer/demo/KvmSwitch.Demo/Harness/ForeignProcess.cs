using System.Diagnostics;

namespace KvmSwitch.Demo.Harness;

/// <summary>A process that isn't our child, recognized by one of its arguments.</summary>
public static class ForeignProcess
{
    public static bool IsRunning(int pid, string argument)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0').Contains(argument);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Ends it with SIGKILL and waits until it is gone.</summary>
    public static async Task KillAsync(int pid, string argument, TimeSpan deadline)
    {
        if (!IsRunning(pid, argument)) return;
        using var process = Process.GetProcessById(pid);
        process.Kill();
        await Condition.HoldsAsync(() => !IsRunning(pid, argument), $"process {pid} is gone", deadline, CancellationToken.None);
    }
}

/// <summary>Waits for what nothing announces: looks again and again, briefly, until a deadline.</summary>
public static class Condition
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    /// <exception cref="TimeoutException">It did not come to hold.</exception>
    public static Task HoldsAsync(Func<bool> condition, string what, TimeSpan deadline, CancellationToken cancellation) =>
        HoldsAsync(() => Task.FromResult(condition()), what, deadline, cancellation);

    /// <inheritdoc cref="HoldsAsync(Func{bool}, string, TimeSpan, CancellationToken)"/>
    public static async Task HoldsAsync(Func<Task<bool>> condition, string what, TimeSpan deadline, CancellationToken cancellation)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            if (TimeProvider.System.GetElapsedTime(started) > deadline) throw new TimeoutException($"waited {deadline.TotalSeconds:0} s in vain until {what}");
            await Task.Delay(Pause, cancellation);
        }
    }
}
