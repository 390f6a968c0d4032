using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>Starts a QEMU process and waits until it answers.</summary>
/// <param name="log">The file that takes what QEMU writes.</param>
internal sealed class QemuLaunch(string log, MachineRuntime runtime, IProcessLauncher launcher, TimeProvider clock)
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ConnectPause = TimeSpan.FromMilliseconds(20);

    /// <exception cref="SwitchException">It ended, or did not answer in time: nothing is left of it.</exception>
    public async Task RunAsync(ProcessSpec spec, CancellationToken cancellationToken)
    {
        using var process = await launcher.LaunchAsync(spec, cancellationToken);
        using var late = new CancellationTokenSource(StartDeadline, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            while (!await ConnectAsync(either.Token))
            {
                if (process.Exited.IsCompleted) throw new SwitchException(Failure.Failed, $"QEMU ended at start: {LastWords()}");

                // QEMU tells nobody that its socket is ready: the way to see it is to try.
                await Task.WhenAny(process.Exited, Task.Delay(ConnectPause, clock, either.Token));
            }
        }
        catch (Exception failure)
        {
            process.Signal(ProcessSignal.Kill);
            if (failure is OperationCanceledException && late.IsCancellationRequested)
                throw new SwitchException(Failure.TimedOut, $"QEMU did not answer within {StartDeadline.TotalSeconds} s of its start; it was ended", failure);
            throw;
        }
    }

    private async Task<bool> ConnectAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await runtime.TryConnectAsync(cancellationToken);
        }
        catch (QmpException)
        {
            // Made, but not listened on yet; or QEMU is just ending. The caller looks which.
            return false;
        }
    }

    /// <summary>What QEMU wrote last: often a cause, and a line below it a hint.</summary>
    private string LastWords()
    {
        var lines = File.Exists(log) ? File.ReadLines(log).Where(line => line.Trim().Length > 0).TakeLast(2) : [];
        return string.Join(' ', lines.Select(line => line.Trim())) is { Length: > 0 } words
            ? $"{words} (all of it in {log})"
            : $"it said nothing (its log is {log})";
    }
}
