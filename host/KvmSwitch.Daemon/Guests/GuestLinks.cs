using System.Collections.Concurrent;
using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;
using Device = KvmSwitch.Core.Device;

namespace KvmSwitch.Daemon.Guests;

/// <summary>The agents that are connected: one for each machine at most. Safe from any thread; nothing here waits but ConfirmAsync.</summary>
internal sealed class GuestLinks(TimeProvider time)
{
    private const int ConnectsInARow = 10;
    private const double ConnectsPerSecond = 0.5;
    private const string Anyway = "; 'kvmswitch take --all' asks nobody";

    private static readonly TimeSpan EjectPatience = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<MachineId, GuestLink> links = [];
    private readonly ConcurrentDictionary<MachineId, Published> published = [];
    private readonly ConcurrentDictionary<MachineId, TokenBucket> connects = [];
    private long sessions;

    /// <summary>An agent is connected, and its last heartbeat is younger than the lease.</summary>
    public bool IsLive(MachineId machine) => links.TryGetValue(machine, out var link) && link.IsLive;

    /// <summary>An agent is connected that reports devices of this bus, so that one's arrival can be confirmed. Older ones know USB alone.</summary>
    public bool CanSee(MachineId machine, GuestBus bus) => links.TryGetValue(machine, out var link) && link.CanSee(bus);

    /// <summary>Null when no agent is connected.</summary>
    public AgentInfo? Info(MachineId machine) => links.TryGetValue(machine, out var link) ? link.Info : null;

    /// <summary>The hotkeys that don't work in the guest, as its agent reported them; none when no agent is connected.</summary>
    public IReadOnlyList<HotkeyTrouble> HotkeyTroubles(MachineId machine) => links.TryGetValue(machine, out var link) ? link.HotkeyTroubles : [];

    /// <summary>
    /// Returns once the agent has reported the device there, arrived after <see cref="Forget"/> was last called for it, and, for hid, ready
    /// to use. Has no deadline of its own.
    /// </summary>
    /// <exception cref="SwitchException">No agent is connected, it can't see devices of this bus, or it went away.</exception>
    public Task ConfirmAsync(
        MachineId machine, Device device, GuestIdentity identity, GuestPlace place, CancellationToken cancellationToken) =>
        links.TryGetValue(machine, out var link)
            ? link.ConfirmAsync(device, identity, place, cancellationToken)
            : Task.FromException(new SwitchException(Failure.Failed, $"no agent of {machine} is connected that could see '{device.Id}'"));

    /// <summary>
    /// Tells that QEMU holds the device no longer: what the agent still reports there is the past. Call it when the device has left, and
    /// always before it is added again.
    /// </summary>
    public void Forget(MachineId machine, GuestIdentity identity, GuestPlace place)
    {
        if (links.TryGetValue(machine, out var link)) link.Left(place, identity);
    }

    /// <summary>Ends the link, as on a guest's reset: nothing that this session sends has an effect any longer. The agent may connect again.</summary>
    /// <param name="why">One clause for the log and the agent.</param>
    public void Disconnect(MachineId machine, string why)
    {
        if (links.TryGetValue(machine, out var link)) link.End(StatusCode.Unavailable, why);
    }

    /// <summary>
    /// Asks the guest to let go of what it has at this place. Returns at once where no live agent can do that, or where the agent
    /// reports nothing there, or more than one thing.
    /// </summary>
    /// <returns>False when nobody was asked.</returns>
    /// <exception cref="SwitchException">The guest keeps it, or does not answer in time.</exception>
    public async Task<bool> EjectAsync(MachineId machine, DeviceId device, GuestPlace place, CancellationToken cancellationToken)
    {
        if (!links.TryGetValue(machine, out var link) || !link.IsLive || !link.Info.Abilities.Contains(Ability.Eject)) return false;
        if (link.KeysAt(place) is not [var key]) return false;
        using var late = new CancellationTokenSource(EjectPatience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        string? objection;
        try
        {
            objection = await link.Ejects.AskAsync(key, link.Send, either.Token);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new SwitchException(Failure.TimedOut, $"{machine} was asked to eject {device} and did not answer within {EjectPatience.TotalSeconds:0} s{Anyway}");
        }

        return objection is null ? true : throw new SwitchException(Failure.Refused, $"{machine} keeps {device}: {objection.TrimEnd('.')}{Anyway}");
    }

    /// <summary>Asks the guest to shut down cleanly.</summary>
    /// <returns>False when no live agent can do that.</returns>
    public bool TryRequestShutdown(MachineId machine)
    {
        if (!links.TryGetValue(machine, out var link) || !link.IsLive || !link.Info.Abilities.Contains(Ability.Shutdown)) return false;
        link.Send(new HostMessage { Shutdown = new() });
        return true;
    }

    /// <summary>What this guest may know, now and after each reconnect. The latest wins. Not to be changed afterwards.</summary>
    public void PublishState(MachineId machine, GuestState state)
    {
        PublishedFor(machine).State = state;
        if (links.TryGetValue(machine, out var link)) link.SendState();
    }

    /// <summary>The hotkeys that this guest watches, now and after each reconnect. The latest wins. Not to be changed afterwards.</summary>
    public void PublishHotkeys(MachineId machine, HotkeyConfiguration configuration)
    {
        PublishedFor(machine).Hotkeys = configuration;
        if (links.TryGetValue(machine, out var link)) link.SendHotkeys();
    }

    internal Published PublishedFor(MachineId machine) => published.GetOrAdd(machine, static _ => new());

    /// <summary>Two agents that replace each other for ever would fill the log.</summary>
    internal bool MayConnect(MachineId machine) =>
        connects.GetOrAdd(machine, _ => new(ConnectsInARow, ConnectsPerSecond, time)).TryTake();

    internal long NextSession() => Interlocked.Increment(ref sessions);

    /// <summary>Makes this the machine's link; an older one ends.</summary>
    internal void Open(GuestLink link, Welcome welcome)
    {
        link.Send(new HostMessage { Welcome = welcome });
        GuestLink? replaced = null;
        links.AddOrUpdate(
            link.Machine,
            _ =>
            {
                replaced = null;
                return link;
            },
            (_, old) =>
            {
                replaced = old;
                return link;
            });
        replaced?.End(StatusCode.Aborted, "a newer link of the same machine replaced this one");
        // After the link can be found, so that no publication falls in between.
        link.SendHotkeys();
        link.SendState();
    }

    internal void Close(GuestLink link) => links.TryRemove(KeyValuePair.Create(link.Machine, link));

    internal void DisconnectCertificate(string id, string why)
    {
        foreach (var link in links.Values.Where(l => l.Info.CertificateId == id)) link.End(StatusCode.PermissionDenied, why);
    }
}
