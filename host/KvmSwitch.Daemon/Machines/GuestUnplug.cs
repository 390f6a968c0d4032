using KvmSwitch.Core;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>What makes a guest let go of a PCI device.</summary>
internal enum Persuasion
{
    /// <summary>Nothing that may be done to a guest.</summary>
    None,

    /// <summary>It is paused: it runs for as long as it takes to let go, and is paused again.</summary>
    Run,

    /// <summary>It is dead: at a reset QEMU carries out the removals that wait for the guest (hw/acpi/pcihp.c, acpi_pcihp_reset).</summary>
    Reset,
}

/// <summary>
/// Removal of a PCI device, which needs its guest's consent. Unbinding on the host doesn't do without it either: the kernel asks QEMU, and
/// QEMU the guest.
/// </summary>
internal static class GuestUnplug
{
    // A guest that unplugs natively (pciehp) takes 6.1 s.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(6.5);

    /// <summary>For one that stands still. It may just be on its way to let go.</summary>
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan OncePersuaded = TimeSpan.FromSeconds(2.5);

    /// <param name="hasPanicked">The guest has said that it is dead.</param>
    /// <param name="isGivenUp">It gives no sign of life, and what it holds matters more than it.</param>
    public static Persuasion For(QmpStatus status, bool hasPanicked, bool isGivenUp) => status.State switch
    {
        QmpRunState.GuestPanicked => Persuasion.Reset,
        QmpRunState.Paused => Persuasion.Run,
        QmpRunState.Running when hasPanicked || isGivenUp => Persuasion.Reset,
        _ => Persuasion.None,
    };

    /// <summary>Returns once QEMU holds the device no longer.</summary>
    /// <param name="device">Of the route controller.</param>
    /// <param name="power">As far as QEMU has told.</param>
    /// <param name="isGivenUp">As <see cref="For"/>; asked only when the guest doesn't let go.</param>
    /// <param name="persuading">Told before something is done to the guest.</param>
    /// <exception cref="QmpException">The guest doesn't let go, and nothing may be done to it.</exception>
    public static async Task RemoveAsync(
        QmpClient client, Device device, Power power, Func<bool> isGivenUp, Action<Persuasion> persuading, CancellationToken cancellationToken)
    {
        try
        {
            await QemuDevices.RemoveAsync(client, device, power is Power.Paused or Power.Crashed ? Glance : Patience, cancellationToken);
        }
        catch (QmpException stuck) when (stuck is QmpTimeoutException or QmpCommandException)
        {
            // Native unplugging refuses to be asked twice: an earlier wish may still wait for the guest.
            var means = For(await client.QueryStatusAsync(cancellationToken), power == Power.Crashed, isGivenUp());
            if (means == Persuasion.None) throw;
            persuading(means);
            await PersuadeAsync(client, means, () => QemuDevices.WaitUntilGoneAsync(client, device.Id, OncePersuaded, cancellationToken), cancellationToken);
        }
    }

    private static async Task PersuadeAsync(QmpClient client, Persuasion means, Func<Task> gone, CancellationToken cancellationToken)
    {
        if (means == Persuasion.Reset)
        {
            await client.SystemResetAsync(cancellationToken);
            await gone();
            return;
        }

        await client.ContAsync(cancellationToken);
        try
        {
            await gone();
        }
        finally
        {
            await client.StopAsync(CancellationToken.None);
        }
    }
}
