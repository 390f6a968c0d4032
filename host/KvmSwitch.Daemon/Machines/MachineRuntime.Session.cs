using System.Net.Sockets;
using System.Text.Json;
using KvmSwitch.Core;
using KvmSwitch.Daemon.GuestTools;
using KvmSwitch.Linux;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <content>The session with QEMU: found, followed to its end, and found again.</content>
internal sealed partial class MachineRuntime
{
    private static readonly TimeSpan Reconnect = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LastWords = TimeSpan.FromMilliseconds(250);

    /// <summary>The process behind the socket, where the last try to connect met one; else 0.</summary>
    private int _met;

    /// <summary>No QEMU is known, and none is on its way.</summary>
    private bool MayAppear => Status is { HasProcess: false, Power: not Power.Starting };

    /// <summary>
    /// Finds a QEMU that runs, when the daemon begins or when somebody else has started one. One that doesn't talk, as it hangs or is still
    /// busy with the daemon before this one, must not be taken for none, or what it holds would be looked for elsewhere: it is known from
    /// now on, and tried again.
    /// </summary>
    /// <returns>Whether one runs.</returns>
    public async Task<bool> AdoptAsync(CancellationToken cancellationToken)
    {
        if (await TryConnectQuietlyAsync(cancellationToken)) return true;
        if (_met == 0 || !MayAppear || ProcessHandle.Open(_met, argument: null) is not { } process) return false;
        _process = process;
        Set(_ => new(Power.Running, process.Pid, $"QEMU runs (process {process.Pid}) but doesn't answer; trying again", null));
        _watch = Task.Run(() => AfterSessionAsync(guestEnded: false), CancellationToken.None);
        return true;
    }

    /// <summary>Connects to a QEMU that already listens. Returns whether there is one.</summary>
    /// <exception cref="QmpException">Something listens there, but it doesn't talk to us.</exception>
    public async Task<bool> TryConnectAsync(CancellationToken cancellationToken)
    {
        await _connecting.WaitAsync(cancellationToken);
        try
        {
            _met = 0;
            return _client is not null || (File.Exists(qmpSocket) && await ConnectAsync(cancellationToken));
        }
        catch (QmpConnectException failed)
        {
            _met = failed.PeerProcessId ?? 0;
            throw;
        }
        finally
        {
            _connecting.Release();
        }
    }

    private async Task<bool> ConnectAsync(CancellationToken cancellationToken)
    {
        var client = await QmpClient.ConnectAsync(
            qmpSocket, new() { TimeProvider = clock, ConnectDeadline = TimeSpan.FromSeconds(5) }, cancellationToken);
        _met = client.PeerProcessId;
        var events = client.Listen(IsOfInterest);
        QmpStatus running;
        try
        {
            running = await client.QueryStatusAsync(cancellationToken);
            if (!_isSwept) await SweepAsync(client, cancellationToken);
            _isSwept = true;
        }
        catch
        {
            // QEMU serves one session at a time: left open, this one would keep every later one out.
            events.Dispose();
            await client.DisposeAsync();
            throw;
        }

        // Whoever waits for the end of the process goes on waiting over a new session.
        if (_process is not { Exited.IsCompleted: false } known || known.Pid != client.PeerProcessId)
        {
            _process?.Dispose();
            _process = ProcessHandle.Open(client.PeerProcessId, argument: null);
        }

        _client = client;
        Set(status => new(running.Running ? Power.Running : Power.Paused, client.PeerProcessId, null, client.Greeting.Version));
        LogConnected(Id, client.PeerProcessId, client.Greeting.Version);
        listener.MachineUp(Id);
        _watch = Task.Run(() => WatchAsync(client, events), CancellationToken.None);
        return true;
    }

    /// <summary>Removes what a daemon that died left behind in QEMU, and what is of no use any more.</summary>
    private async Task SweepAsync(QmpClient client, CancellationToken cancellationToken)
    {
        try
        {
            await QemuInput.SweepAsync(client, cancellationToken);
            if (options.ScsiBus is not null) await QemuOpticalDrive.SweepAsync(client, cancellationToken);
            await QemuToolsDisc.RemoveAsync(client, cancellationToken);
        }
        catch (QmpCommandException refused)
        {
            // Whatever is in the way is told again when it is: by the give that meets it.
            LogNotSwept(Id, refused.Message);
        }
    }

    /// <summary>As <see cref="TryConnectAsync"/>, but only logs that something listens there that doesn't talk to us.</summary>
    public async Task<bool> TryConnectQuietlyAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await TryConnectAsync(cancellationToken);
        }
        catch (Exception failure) when (failure is QmpException or OperationCanceledException)
        {
            LogNoSession(Id, failure.Message);
            return false;
        }
    }

    /// <summary>Keeps looking for a QEMU that others start, until cancelled.</summary>
    public async Task AwaitOthersAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_client is null && MayAppear) await AdoptAsync(cancellationToken);

            // While there is a session its end tells more than any clock, and wakes nobody.
            var session = _watch;
            await (_client is not null && !session.IsCompleted ? session.WaitAsync(cancellationToken) : Task.Delay(Reconnect, clock, cancellationToken));
        }
    }

    private static bool IsOfInterest(QmpEvent happened) => happened.Name
        is "RESET" or "SHUTDOWN" or "GUEST_PANICKED" or "STOP" or "RESUME" or "SUSPEND" or "WAKEUP" or "DEVICE_DELETED";

    /// <summary>Follows one session to its end, and then finds out what that end means.</summary>
    private async Task WatchAsync(QmpClient client, QmpEventListener events)
    {
        var guestEnded = false;
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var exit = _process is { } process ? HangUpAfterExitAsync(client, process.Exited, read.Task) : Task.CompletedTask;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        var leds = FollowLedsAsync(client, over.Token);
        try
        {
            await foreach (var happened in events.ReadAllAsync(_closing.Token))
            {
                guestEnded |= happened.Name == "SHUTDOWN";
                OnEvent(happened);
            }
        }
        catch (QmpDisconnectedException end)
        {
            LogSessionEnded(Id, end.Message);
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            return;
        }
        finally
        {
            read.SetResult();
            await over.CancelAsync();
            events.Dispose();
            await client.DisposeAsync();
            await exit;
            await leds;
        }

        _client = null;
        if (!_closing.IsCancellationRequested) await AfterSessionAsync(guestEnded);
    }

    /// <summary>Tells what the leds of the guest show for as long as the session lasts. A machine that doesn't tell them does without.</summary>
    private async Task FollowLedsAsync(QmpClient client, CancellationToken cancellationToken)
    {
        if (!listener.WantsLeds) return;
        try
        {
            await using var leds = await QemuLeds.OpenAsync(client, clock, cancellationToken);
            if (leds is null) LogNoLeds(Id, "it has no VNC server");
            else await foreach (var lit in leds.ReadAllAsync(cancellationToken)) listener.LedsChanged(Id, lit);
        }
        catch (Exception broken) when (broken is InvalidDataException or TimeoutException)
        {
            LogBadLeds(Id, broken.Message);
        }
        catch (Exception end) when (end is QmpException or IOException or SocketException or OperationCanceledException)
        {
            if (!cancellationToken.IsCancellationRequested) LogNoLeds(Id, end.Message);
        }
        finally
        {
            listener.LedsChanged(Id, null);
        }
    }

    /// <summary>The stream ends with QEMU, after its last words. Only where a child of QEMU keeps it open it is ended here.</summary>
    private async Task HangUpAfterExitAsync(QmpClient client, Task exited, Task read)
    {
        await Task.WhenAny(exited, read);
        await Task.WhenAny(Task.Delay(LastWords, clock), read);
        await client.DisposeAsync();
    }

    private void OnEvent(QmpEvent happened)
    {
        LogEvent(Id, happened.Name);
        switch (happened.Name)
        {
            case "RESET":
                listener.GuestLost(Id, Gesture.GuestReset);

                // A guest that panicked starts anew by this.
                Set(status => status.Power == Power.Crashed ? status with { Power = Power.Running, Trouble = null } : status);
                break;
            case "SHUTDOWN":
                listener.GuestLost(Id, Gesture.GuestShutdown);
                Set(status => status.Power == Power.Crashed ? status : status with { Power = Power.Stopping });
                break;
            case "GUEST_PANICKED":
                listener.GuestLost(Id, Gesture.GuestPanic);
                Set(status => status with { Power = Power.Crashed, Trouble = "the guest panicked" });
                break;
            case "STOP" or "SUSPEND":
                Set(status => status.Power == Power.Running ? status with { Power = Power.Paused } : status);
                break;
            case "RESUME" or "WAKEUP":
                Set(status => status.Power == Power.Paused ? status with { Power = Power.Running } : status);
                break;
            case "DEVICE_DELETED" when happened.Data.ValueKind == JsonValueKind.Object:
                listener.DevicesChanged(Id);
                break;
        }
    }

    /// <summary>The session is over: either QEMU is gone, or only the connection is.</summary>
    private async Task AfterSessionAsync(bool guestEnded)
    {
        while (!await HasExitedSoonAsync())
        {
            if (await TryConnectQuietlyAsync(_closing.Token)) return;
            Set(status => status with { Trouble = $"QEMU runs (process {status.Pid}) but its QMP session is lost; trying again" });
            try
            {
                await Task.Delay(Reconnect, clock, _closing.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }

        _process?.Dispose();
        _process = null;
        var panicked = Status.Power == Power.Crashed;
        var expected = !panicked && (guestEnded || Status.Power == Power.Stopping);
        Set(status => expected
            ? MachineStatus.Off
            : new(
                Power.Crashed, 0, panicked ? status.Trouble : "QEMU ended by itself; its last words are in its log", status.QemuVersion));
        LogExited(Id, expected ? "as asked" : "by itself");
        listener.GuestLost(Id, Gesture.MachineExit);
        if (!expected) _crashes.Writer.TryWrite(Status);
    }
}
