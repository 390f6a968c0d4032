using System.Text.Json.Nodes;

namespace KvmSwitch.Qmp;

/// <summary>How it became known that a device is gone.</summary>
public enum QmpRemoval
{
    /// <summary>QEMU sent <c>DEVICE_DELETED</c>: the device has let go of all that it used.</summary>
    Deleted,

    /// <summary>It is no longer listed, but the event never came (QEMU 7.2 forgets it for some devices).</summary>
    Vanished,

    /// <summary>There was no such device to begin with.</summary>
    AlreadyGone,
}

/// <summary>The removal of a device until it is really gone.</summary>
public static class QmpDeviceRemoval
{
    // A device that lets go slowly (VFIO) leaves the list before its event: time for the event to come.
    private static readonly TimeSpan _grace = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan _firstLook = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan _longestPause = TimeSpan.FromMilliseconds(800);

    /// <summary><c>device_del</c>, and then waits for <c>DEVICE_DELETED</c> or for the device to vanish from the list, whichever tells first.</summary>
    /// <param name="client">The session.</param>
    /// <param name="id">The device's id.</param>
    /// <param name="deadline">For all of it; by default <see cref="QmpClientOptions.CommandDeadline"/>.</param>
    /// <param name="cancellationToken">Ends the wait, not the removal.</param>
    /// <exception cref="QmpTimeoutException">It is still there. A PCI device needs its guest to agree, and may still go later.</exception>
    /// <exception cref="QmpUnplugRefusedException">The guest said no.</exception>
    /// <exception cref="QmpCommandException">QEMU said no, and the device is still there.</exception>
    /// <exception cref="QmpDisconnectedException">The session ended.</exception>
    public static async Task<QmpRemoval> DeviceDelAndWaitAsync(
        this QmpClient client, string id, TimeSpan? deadline = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(client);
        var remaining = new Remaining(client.Options.TimeProvider, deadline ?? client.Options.CommandDeadline);
        using var listener = client.Listen(happened => happened.Text("device") == id);
        var deleting = client.ExecuteAsync("device_del", new JsonObject { ["id"] = id }, remaining.Left, null, cancellationToken);

        // Sent in the same breath, answered in that order: a device that needs no guest for it is gone by then.
        var looking = client.HasPeripheralAsync(id, cancellationToken);
        _ = NeededPerhaps(looking);
        try
        {
            await deleting;
        }
        catch (QmpCommandException e) when (e.ErrorClass == QmpErrorClass.DeviceNotFound)
        {
            return QmpRemoval.AlreadyGone;
        }

        return await WaitAsync(client, listener, id, await looking, remaining, cancellationToken);
    }

    /// <summary>Waits for a removal that was asked for earlier, and that the guest has not answered yet.</summary>
    /// <inheritdoc cref="DeviceDelAndWaitAsync"/>
    public static async Task<QmpRemoval> WaitForRemovalAsync(
        this QmpClient client, string id, TimeSpan? deadline = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(client);
        using var listener = client.Listen(happened => happened.Text("device") == id);
        var remaining = new Remaining(client.Options.TimeProvider, deadline ?? client.Options.CommandDeadline);
        return await WaitAsync(client, listener, id, await client.HasPeripheralAsync(id, cancellationToken), remaining, cancellationToken);
    }

    private static async Task<QmpRemoval> WaitAsync(
        QmpClient client, QmpEventListener listener, string id, bool isListed, Remaining remaining, CancellationToken cancellationToken)
    {
        var told = false;
        for (var pause = _firstLook; ; pause = Shorter(pause * 2, _longestPause))
        {
            if (!isListed)
            {
                return told || await HappenedAsync(listener, id, _grace, cancellationToken) ? QmpRemoval.Deleted : QmpRemoval.Vanished;
            }

            if (remaining.Left == TimeSpan.Zero)
            {
                throw new QmpTimeoutException(
                    "device_del", remaining.Whole, $"Device '{id}' is still attached {remaining.Whole.TotalSeconds:0.###} s after its removal was asked for.");
            }

            // The event alone proves nothing: it may be the late one of an earlier device of the same name.
            told = await HappenedAsync(listener, id, Shorter(pause, remaining.Left), cancellationToken);
            isListed = await client.HasPeripheralAsync(id, cancellationToken);
        }
    }

    private static async Task<bool> HappenedAsync(QmpEventListener listener, string id, TimeSpan within, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await listener.WaitForAsync(
                happened => happened.Name is "DEVICE_DELETED" or "DEVICE_UNPLUG_GUEST_ERROR", within, cancellationToken);
            return answer.Name == "DEVICE_DELETED" ? true : throw new QmpUnplugRefusedException(id);
        }
        catch (QmpTimeoutException)
        {
            return false;
        }
    }

    // Who needs the answer awaits it, and meets its failure; where nobody does, the failure is nobody's.
    private static async Task NeededPerhaps(Task answer) => await answer.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private sealed class Remaining(TimeProvider clock, TimeSpan whole)
    {
        private readonly long _start = clock.GetTimestamp();

        internal TimeSpan Whole => whole;

        internal TimeSpan Left => whole - clock.GetElapsedTime(_start) is { Ticks: > 0 } left ? left : TimeSpan.Zero;
    }
}
