using System.Diagnostics;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary>
/// Keeps the hotkeys alive on the logon and lock screen: a program of ours on the Winlogon desktop of the session that is at the screen
/// (learn.microsoft.com/windows/win32/winstation/desktops). A service itself sees no keyboard.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed class LogonHotkeys(IJournal journal, TimeProvider time)
{
    private const string Desktop = "Winlogon";
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LetGo = TimeSpan.FromSeconds(2);

    private volatile TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool isLogged;

    /// <summary>Another session came to the screen.</summary>
    public void ConsoleChanged() => Interlocked.Exchange(ref changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    /// <summary>Runs until stopped; what can't be done is told once, and tried again with the next session.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var change = changed.Task;
            if (!await TryWatchAsync(change, stop))
                await change.WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One program, from its start to its end.</summary>
    /// <returns>False when it makes no sense to start it again in this session.</returns>
    private async Task<bool> TryWatchAsync(Task change, CancellationToken stop)
    {
        if (SessionProcess.ConsoleSession() is not { } session)
            return false;
        try
        {
            using var program = SessionProcess.Start(session, Desktop, [Hotkeys.HotkeysCommand.Verb, Hotkeys.HotkeysCommand.DesktopOption, Desktop]);
            var ended = program.WaitForExitAsync(CancellationToken.None);
            await Task.WhenAny(ended, change, Task.Delay(Timeout.Infinite, stop));
            if (!ended.IsCompleted)
                await EndAsync(program, ended);
            else if (program.ExitCode != 0)
                return Failed($"the program for it ended with {program.ExitCode}");
            await Task.Delay(Pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return true;
        }
        catch (IOException refused)
        {
            return Failed(refused.Message.TrimEnd('.'));
        }
    }

    // It ends by itself when the pipe closes, which a stopping service does; one of another session is not needed any more.
    private async Task EndAsync(Process program, Task ended)
    {
        await ended.WaitAsync(LetGo, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!ended.IsCompleted)
            program.Kill();
    }

    private bool Failed(string why)
    {
        if (!isLogged)
            journal.Write($"Hotkeys do not work on the logon screen: {why}.");
        isLogged = true;
        return false;
    }
}
