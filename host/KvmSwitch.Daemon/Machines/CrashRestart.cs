using KvmSwitch.Core;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>Starts a machine again whose QEMU ended by itself, a few times, and says in its status what it is about to do.</summary>
internal sealed partial class CrashRestart(MachineId machine, MachineRuntime runtime, MachinePower power, TimeProvider clock, ILogger log)
{
    private readonly long _origin = clock.GetTimestamp();
    private RestartBudget _budget = RestartBudget.Full;

    /// <summary>Until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await foreach (var _ in runtime.Crashes.ReadAllAsync(cancellationToken))
        {
            while (!await RestartedAsync(cancellationToken))
            {
            }
        }
    }

    /// <returns>False when the start failed, which is another crash.</returns>
    private async Task<bool> RestartedAsync(CancellationToken cancellationToken)
    {
        (_budget, var next) = _budget.Crashed(clock.GetElapsedTime(_origin));
        if (next is not { } pause)
        {
            LogGivenUp(machine, RestartBudget.Limit);
            Say($"it crashed {RestartBudget.Limit} times within {RestartBudget.Window.TotalMinutes:0} minutes and is not started again; 'kvmswitch vm start {machine}' does");
            return true;
        }

        var pausing = Task.Delay(pause, clock, cancellationToken);
        Say($"starting it again in {pause.TotalSeconds:0} s");
        await pausing;
        LogRestarting(machine);
        try
        {
            await power.StartCrashedAsync(cancellationToken);
            return true;
        }
        catch (SwitchException refusal) when (refusal.Failure == Failure.Refused)
        {
            return true; // Somebody is at it.
        }
        catch (Exception failure) when (failure is SwitchException or QmpException or IOException or UnauthorizedAccessException)
        {
            LogNotRestarted(machine, failure.Message);
            runtime.Set(_ => MachineStatus.Off with { Power = Power.Crashed, Trouble = failure.Message });
            return false;
        }
    }

    private void Say(string next) => runtime.Set(
        status => status is { Power: Power.Crashed, HasProcess: false } ? status with { Trouble = $"{status.Trouble}; {next}" } : status);

    [LoggerMessage(1110, LogLevel.Information, "{Machine}: starting it again after a crash")]
    private partial void LogRestarting(MachineId machine);

    [LoggerMessage(1111, LogLevel.Warning, "{Machine}: crashed {Count} times in a short time; it is not started again")]
    private partial void LogGivenUp(MachineId machine, int count);

    [LoggerMessage(1112, LogLevel.Warning, "{Machine}: could not be started again: {Reason}")]
    private partial void LogNotRestarted(MachineId machine, string reason);
}
