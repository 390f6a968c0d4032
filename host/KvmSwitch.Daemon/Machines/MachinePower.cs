using System.Collections.Immutable;
using System.Net.Sockets;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Linux;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>Starts and stops one machine that is ours to start and stop. One command at a time.</summary>
internal sealed class MachinePower(
    ManagedMachine options, MachinePaths paths, DaemonOptions daemon, MachineRuntime runtime, GuestLinks links, IProcessLauncher launcher,
    TimeProvider clock) : IDisposable
{
    private static readonly TimeSpan QuitDeadline = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly QemuLaunch _launch = new(paths.QemuLog, runtime, launcher, clock);

    /// <summary>QEMU's program and command line, as <see cref="StartAsync"/> would use them.</summary>
    /// <exception cref="SwitchException">QEMU or its firmware is missing.</exception>
    public (string Program, ImmutableArray<string> Arguments) CommandLine() => (
        QemuProgram.Find(daemon.Qemu), QemuArguments.Build(options, paths, FirmwareFiles.Find(options.Firmware, File.Exists), HostId()));

    /// <summary>Returns once QEMU runs and answers. The guest is only beginning to boot then.</summary>
    /// <exception cref="SwitchException">Running already, or it didn't start: nothing is left of it.</exception>
    public Task StartAsync(Action<string> progress, CancellationToken cancellationToken) =>
        InTurnAsync(() => StartInTurnAsync(progress, cancellationToken));

    /// <summary>
    /// Asks the guest to shut down, by its agent where one is live and by the power button (ACPI) in any case; tells QEMU to quit when the
    /// time is over, and kills it when it doesn't. Returns once QEMU is gone. A crashed machine that waits to be started again stays off.
    /// </summary>
    public Task StopAsync(TimeSpan? timeout, Action<string> progress, CancellationToken cancellationToken) =>
        InTurnAsync(() => TryCallOff(progress) ? Task.CompletedTask : StopInTurnAsync(timeout, progress, cancellationToken));

    /// <summary>Stops, as <see cref="StopAsync"/> does, and starts anew. The devices that it held stay home.</summary>
    public Task RestartAsync(TimeSpan? timeout, Action<string> progress, CancellationToken cancellationToken) => InTurnAsync(async () =>
    {
        await StopInTurnAsync(timeout, progress, cancellationToken);
        await StartInTurnAsync(progress, cancellationToken);
    });

    /// <summary>Ends QEMU at once, as pulling the plug would.</summary>
    public Task KillAsync(Action<string> progress, CancellationToken cancellationToken) => InTurnAsync(async () =>
    {
        if (TryCallOff(progress)) return;
        var process = RunningProcess();
        progress($"killing QEMU, process {process.Pid}");
        runtime.Set(status => status with { Power = Power.Stopping });
        process.Signal(ProcessSignal.Kill);
        await ExpectEndAsync(process, cancellationToken);
    });

    /// <summary>Starts a machine that crashed, unless somebody has started or stopped it meanwhile.</summary>
    /// <exception cref="SwitchException">It didn't start.</exception>
    public Task StartCrashedAsync(CancellationToken cancellationToken) =>
        InTurnAsync(() => HasCrashed() ? StartInTurnAsync(_ => { }, cancellationToken) : Task.CompletedTask);

    public void Dispose() => _turn.Dispose();

    private static string HostId() => File.Exists("/etc/machine-id") ? File.ReadAllText("/etc/machine-id") : "";

    private async Task InTurnAsync(Func<Task> act)
    {
        if (!await _turn.WaitAsync(TimeSpan.Zero)) throw new SwitchException(Failure.Refused, $"{options.Id} is being started or stopped already");
        try
        {
            await act();
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task StartInTurnAsync(Action<string> progress, CancellationToken cancellationToken)
    {
        await CheckOffAsync(cancellationToken);
        var (program, arguments) = CommandLine();
        var version = await QemuProgram.CheckAsync(program, cancellationToken);
        var user = QemuUser.For(daemon);
        CheckDisks();
        MachineFiles.Prepare(options, paths, user);
        progress($"starting QEMU {version}");
        runtime.Set(_ => MachineStatus.Off with { Power = Power.Starting });
        try
        {
            await _launch.RunAsync(
                new($"vm-{options.Id}", program, arguments, paths.QemuLog) { User = user is null ? null : new(user.Name, $"{user.Gid}") }, cancellationToken);
        }
        catch (Exception failure)
        {
            runtime.Set(_ => MachineStatus.Off with { Trouble = failure.Message });
            throw;
        }

        progress($"{options.Id} runs, process {runtime.Status.Pid}");
    }

    private async Task StopInTurnAsync(TimeSpan? timeout, Action<string> progress, CancellationToken cancellationToken)
    {
        var process = RunningProcess();
        var patience = timeout ?? options.ShutdownTimeout;
        runtime.Set(status => status with { Power = Power.Stopping });
        progress(links.TryRequestShutdown(options.Id) ? "asked the guest's agent to shut down" : "no agent is live; pressing the power button");
        await SayAsync(client => client.SystemPowerdownAsync(cancellationToken));
        if (!await EndsWithinAsync(process, patience, cancellationToken))
        {
            progress($"the guest did not shut down within {patience.TotalSeconds:0.#} s; telling QEMU to quit");
            await SayAsync(client => client.QuitAsync(cancellationToken));
            if (!await EndsWithinAsync(process, QuitDeadline, cancellationToken))
            {
                progress("QEMU does not quit; killing it");
                process.Signal(ProcessSignal.Kill);
            }
        }

        await ExpectEndAsync(process, cancellationToken);
    }

    private bool HasCrashed() => runtime.Status is { Power: Power.Crashed, HasProcess: false };

    private bool TryCallOff(Action<string> progress)
    {
        if (options.Restart == RestartPolicy.Never || !HasCrashed()) return false;
        runtime.Set(_ => MachineStatus.Off);
        progress($"{options.Id} had crashed; it is off now and is not started again");
        return true;
    }

    private ProcessHandle RunningProcess() =>
        runtime.Process ?? throw new SwitchException(Failure.Refused, $"{options.Id} is not running");

    /// <summary>A QEMU that did not answer when it should have been adopted runs nevertheless: preparing anew would take its socket away.</summary>
    private async Task CheckOffAsync(CancellationToken cancellationToken)
    {
        if (!runtime.Status.HasProcess)
        {
            try
            {
                if (!await runtime.TryConnectAsync(cancellationToken)) return;
            }
            catch (QmpConnectException dead) when (dead.InnerException is SocketException)
            {
                return;
            }
            catch (QmpException failure)
            {
                throw new SwitchException(Failure.Refused, $"{options.Id} runs already, but its QEMU doesn't answer: {failure.Message.TrimEnd('.')}", failure);
            }
        }

        throw new SwitchException(Failure.Refused, $"{options.Id} is running already (process {runtime.Status.Pid})");
    }

    private void CheckDisks()
    {
        foreach (var disk in options.Disks.Where(disk => !File.Exists(disk.File)))
            throw new SwitchException(Failure.Failed, $"{options.Id} can't start: its disk {disk.File} is not there");
    }

    private async Task SayAsync(Func<QmpClient, Task> say)
    {
        try
        {
            await say(runtime.Client);
        }
        catch (Exception failure) when (failure is QmpException or SwitchException)
        {
            // A QEMU that doesn't listen is told more firmly by the step that follows; one that ended before it could answer did as told.
            runtime.Set(status => status.HasProcess ? status with { Trouble = failure.Message } : status);
        }
    }

    private async Task<bool> EndsWithinAsync(ProcessHandle process, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            await process.Exited.WaitAsync(patience, clock, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private async Task ExpectEndAsync(ProcessHandle process, CancellationToken cancellationToken)
    {
        if (!await EndsWithinAsync(process, QuitDeadline, cancellationToken))
            throw new SwitchException(Failure.TimedOut, $"QEMU (process {process.Pid}) was killed but does not end; the kernel holds it");

        // Else a start right after this would find a machine that seems to run.
        await runtime.SessionEnd.WaitAsync(QuitDeadline, clock, cancellationToken);
    }
}
