using System.Collections.Immutable;
using System.Threading.Channels;
using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;
using Device = KvmSwitch.Core.Device;

namespace KvmSwitch.Daemon.Guests;

/// <summary>What is known of a connected agent.</summary>
internal sealed record AgentInfo(string Version, string OperatingSystem, string CertificateId, ImmutableHashSet<Ability> Abilities);

/// <summary>Why a link ended.</summary>
internal sealed record LinkEnd(StatusCode Code, string Why);

/// <summary>What a machine's agent is to know, across its links. The latest wins.</summary>
internal sealed class Published
{
    private volatile GuestState state = new();
    private volatile HotkeyConfiguration hotkeys = new();

    public GuestState State { get => state; set => state = value; }

    public HotkeyConfiguration Hotkeys { get => hotkeys; set => hotkeys = value; }
}

/// <summary>
/// One connected agent: what it told, what it is to be told, and whether the link still counts. The first end wins, and from then on
/// nothing that the agent sends has an effect.
/// </summary>
internal sealed class GuestLink(
    long session, MachineId machine, AgentInfo info, GuestView view, Published published, TimeSpan lease, TimeProvider time)
{
    // More than an agent may have answered at once.
    private const int OutboxLength = 256;

    private readonly TaskCompletionSource<LinkEnd> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // A null stands for the published state or hotkeys, so that however often they change, they take one place.
    private readonly Channel<HostMessage?> outbox = Channel.CreateBounded<HostMessage?>(
        new BoundedChannelOptions(OutboxLength) { SingleReader = true });

    private volatile Snapshot snapshot = new(view);
    private volatile IReadOnlyList<HotkeyTrouble> troubles = [];
    private int stateDue;
    private int hotkeysDue;
    private long lastHeartbeat = time.GetTimestamp();

    public long Session => session;

    public MachineId Machine => machine;

    public AgentInfo Info => info;

    public Task<LinkEnd> Ended => ended.Task;

    /// <summary>Connected, and the last heartbeat is younger than the lease.</summary>
    public bool IsLive => !ended.Task.IsCompleted && time.GetElapsedTime(Volatile.Read(ref lastHeartbeat)) <= lease;

    /// <summary>The agent reports devices of this bus.</summary>
    public bool CanSee(GuestBus bus) => info.Abilities.Contains(bus switch
    {
        GuestBus.Usb => Ability.Sightings,
        GuestBus.Pci => Ability.PciSightings,
        GuestBus.Scsi => Ability.ScsiSightings,
        _ => Ability.Unspecified,
    });

    /// <summary>What the agent was asked to eject and has not answered yet.</summary>
    public GuestEjects Ejects { get; } = new();

    /// <summary>As the agent reported last.</summary>
    public IReadOnlyList<HotkeyTrouble> HotkeyTroubles { get => troubles; set => troubles = value; }

    /// <summary>The keys of what the agent reports at this place.</summary>
    public ImmutableArray<string> KeysAt(GuestPlace place) => [.. snapshot.View.Devices.Values.Where(seen => place.Covers(seen.Device)).Select(seen => seen.Device.Key)];

    private TimeSpan Now => time.GetElapsedTime(0);

    public void End(StatusCode code, string why)
    {
        if (!ended.TrySetResult(new(code, why))) return;
        outbox.Writer.TryComplete();
        Ejects.End();
    }

    /// <summary>Never waits: a peer that lets this run full is disconnected.</summary>
    public void Send(HostMessage? message)
    {
        if (!outbox.Writer.TryWrite(message) && !ended.Task.IsCompleted) End(StatusCode.ResourceExhausted, "the agent doesn't read what the host sends");
    }

    /// <summary>Sends the published state as it is when its turn comes.</summary>
    public void SendState()
    {
        if (Interlocked.Exchange(ref stateDue, 1) == 0) Send(null);
    }

    /// <summary>Sends the published hotkeys as they are when their turn comes, to an agent that watches hotkeys.</summary>
    public void SendHotkeys()
    {
        if (info.Abilities.Contains(Ability.Hotkeys) && Interlocked.Exchange(ref hotkeysDue, 1) == 0) Send(null);
    }

    /// <summary>What to send next, until the link ends.</summary>
    public async IAsyncEnumerable<HostMessage> OutgoingAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var message in outbox.Reader.ReadAllAsync(cancellationToken))
        {
            if (message is not null) yield return message;
            if (Interlocked.Exchange(ref hotkeysDue, 0) == 1) yield return new() { Hotkeys = published.Hotkeys };
            if (Interlocked.Exchange(ref stateDue, 0) == 1) yield return new() { State = published.State };
        }
    }

    public void Beat()
    {
        Volatile.Write(ref lastHeartbeat, time.GetTimestamp());
        // Whoever waits for the end of a doubt looks again now; that needs no timer.
        Change(static (view, _) => view);
    }

    public void Present(GuestDevice device) => Change((view, now) => view.Present(device, now));

    public void Gone(string key) => Change((view, _) => view.Gone(key));

    public void Left(GuestPlace place, GuestIdentity identity) => Change((view, now) => view.Left(place, identity, now + lease));

    public int DeviceCount => snapshot.View.Devices.Count;

    public bool Knows(string key) => snapshot.View.Devices.ContainsKey(key);

    /// <summary>Returns once the guest has the device and it works there.</summary>
    /// <exception cref="SwitchException">The link ended first, or the agent doesn't report such devices.</exception>
    public async Task ConfirmAsync(Device device, GuestIdentity identity, GuestPlace place, CancellationToken cancellationToken)
    {
        if (!CanSee(place.Bus))
        {
            throw new SwitchException(
                Failure.Failed,
                $"the agent of {machine} (version {info.Version}) can't see '{device.Id}': it doesn't report {Words(place.Bus)}; install a newer agent in the guest");
        }

        var confirmed = false;
        try
        {
            while (true)
            {
                var current = snapshot;
                if (ended.Task.IsCompleted)
                    throw new SwitchException(Failure.Failed, $"the agent of {machine} went away before it saw '{device.Id}': {(await ended.Task).Why}");
                if (current.View.Confirms(device, identity, place, Now)) break;
                await Task.WhenAny(current.Changed.Task, ended.Task).WaitAsync(cancellationToken);
            }

            confirmed = true;
        }
        finally
        {
            if (!confirmed) Change((view, now) => view.Doubt(place, now + lease));
        }
    }

    private static string Words(GuestBus bus) => bus switch
    {
        GuestBus.Pci => "PCI devices",
        GuestBus.Scsi => "optical drives",
        _ => "USB devices",
    };

    private void Change(Func<GuestView, TimeSpan, GuestView> change)
    {
        Snapshot before;
        do before = snapshot;
        while (Interlocked.CompareExchange(ref snapshot, new(change(before.View, Now)), before) != before);
        before.Changed.TrySetResult();
    }

    private sealed class Snapshot(GuestView view)
    {
        public GuestView View => view;

        public TaskCompletionSource Changed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
