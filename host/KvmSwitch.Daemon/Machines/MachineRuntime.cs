using System.Collections.Immutable;
using System.Threading.Channels;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Linux;
using KvmSwitch.Qmp;

namespace KvmSwitch.Daemon.Machines;

/// <summary>
/// One machine while the daemon runs: keeps a QMP session to its QEMU for as long as there is one, whoever started it, and is the
/// machine's side of every handoff.
/// </summary>
internal sealed partial class MachineRuntime(
    MachineOptions options, string qmpSocket, IMachineListener listener, GuestLinks links, TimeProvider clock, ILogger log)
    : IMachineSide, IAsyncDisposable
{
    private static readonly TimeSpan ExitFollowsClose = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RemovalDeadline = TimeSpan.FromSeconds(4.5);

    private readonly CancellationTokenSource _closing = new();
    private readonly SemaphoreSlim _connecting = new(1);
    private readonly Channel<MachineStatus> _crashes = Channel.CreateBounded<MachineStatus>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });

    private volatile QmpClient? _client;
    private volatile ProcessHandle? _process;
    private volatile Recipient? _recipient;
    private bool _isSwept;
    private MachineStatus _status = MachineStatus.Off;
    private Task _watch = Task.CompletedTask;

    public MachineId Id => options.Id;

    public MachineOptions Options => options;

    public MachineStatus Status => Volatile.Read(ref _status);

    /// <summary>QEMU's process; null when it isn't running.</summary>
    public ProcessHandle? Process => _process;

    /// <summary>Each time that QEMU ended by itself.</summary>
    public ChannelReader<MachineStatus> Crashes => _crashes.Reader;

    /// <summary>Ends when the QMP session has ended and <see cref="Status"/> tells what became of QEMU.</summary>
    public Task SessionEnd => _watch;

    /// <summary>The session to a QEMU that runs.</summary>
    /// <exception cref="SwitchException">It isn't running, or doesn't answer.</exception>
    public QmpClient Client => _client ?? throw new SwitchException(
        Failure.Failed,
        Status.HasProcess ? $"QEMU of {Id} runs (process {Status.Pid}) but doesn't answer" : $"{Id} is not running");

    public void Set(Func<MachineStatus, MachineStatus> change)
    {
        MachineStatus before, after;
        do
        {
            before = Status;
            after = change(before);
        }
        while (Interlocked.CompareExchange(ref _status, after, before) != before);

        if (before != after) listener.StatusChanged(Id);
    }

    public async Task<ImmutableDictionary<DeviceId, Holding>> ObserveAsync(CancellationToken cancellationToken) =>
        await WhileItRunsAsync(client => QemuDevices.ListAsync(client, cancellationToken), $"looking into {Id}")
        ?? ImmutableDictionary<DeviceId, Holding>.Empty;

    public async Task<Recipient> IdentifyAsync(CancellationToken cancellationToken)
    {
        var (client, pid) = (Client, Status.Pid);
        if (_recipient is { } known && known.ProcessId == pid) return known;
        try
        {
            var memory = await client.QueryBaseMemoryAsync(cancellationToken);
            var owner = ProcessOwner.Of(pid) ?? throw new SwitchException(Failure.Failed, $"QEMU of {Id} has just ended");
            return _recipient = new(Id, pid, owner.UserId, owner.GroupId, memory);
        }
        catch (QmpException failure)
        {
            throw Explain(failure, $"asking QEMU of {Id} for its memory");
        }
    }

    public async Task AttachAsync(Attachment attachment, CancellationToken cancellationToken)
    {
        var device = attachment.Device;
        try
        {
            var client = Client;
            foreach (var part in attachment.Parts)
            {
                if (part.Driver == QemuInput.Driver)
                {
                    await QemuInput.EnsureAsync(client, device.Id, part, attachment.Admit, cancellationToken);
                    continue;
                }

                var seat = GuestSeat.Of(options, device, part.Slot);

                // What the agent still reports at this place is the past, and must not confirm the arrival.
                links.Forget(Id, part.Identity, seat.Place);
                if (part.Driver == OpticalHostSide.Driver)
                {
                    if (!attachment.IsUnlisted) await QemuOpticalDrive.RemoveAsync(client, device.Id, RemovalDeadline, cancellationToken);
                    await QemuOpticalDrive.AddAsync(client, device.Id, part, seat.Properties(), cancellationToken);
                    continue;
                }

                if (!attachment.IsUnlisted) await QemuDevices.RemovePartAsync(client, device.Id, part.Slot, RemovalDeadline, cancellationToken);
                await QemuDevices.AddAsync(client, device.Id, part, seat.Properties(), attachment.Admit, cancellationToken);
            }
        }
        catch (QmpException failure)
        {
            throw Explain(failure, $"attaching {device.Id} to {Id}");
        }
    }

    public bool CanConfirm(Device device) => device.Route switch
    {
        DeviceRoute.Input => false,
        DeviceRoute.Controller => IsSeen(GuestBus.Pci),
        DeviceRoute.Optical => IsSeen(GuestBus.Scsi),
        _ => true,
    };

    public Task ConfirmAsync(Device device, ImmutableDictionary<int, GuestIdentity> identities, CancellationToken cancellationToken) =>
        Task.WhenAll(identities.Select(part =>
            links.ConfirmAsync(Id, device, part.Value, GuestSeat.Of(options, device, part.Key).Place, cancellationToken)));

    public async Task EjectAsync(Device device, CancellationToken cancellationToken)
    {
        // A controller leaves with all that is plugged into it, and a guest opens an optical drive itself.
        if (device.Route is not (DeviceRoute.Usb or DeviceRoute.Virtual)) return;
        for (var slot = 0; slot <= device.BranchPorts.Length; slot++)
        {
            if (await links.EjectAsync(Id, device.Id, GuestSeat.Of(options, device, slot).Place, cancellationToken)) log.Ejected(Id, device.Id, "done");
        }
    }

    public Task DetachAsync(Device device, CancellationToken cancellationToken) => WhileItRunsAsync(
        async client =>
        {
            switch (device.Route)
            {
                case DeviceRoute.Controller:
                    await GuestUnplug.RemoveAsync(
                        client, device, Status.Power, () => listener.IsGivenUp(Id), means => LogPersuading(Id, device.Id, means), cancellationToken);
                    break;
                case DeviceRoute.Optical:
                    await QemuOpticalDrive.RemoveAsync(client, device.Id, RemovalDeadline, cancellationToken);
                    break;
                default:
                    await QemuDevices.RemoveAsync(client, device, RemovalDeadline, cancellationToken);
                    break;
            }

            return device;
        },
        $"detaching {device.Id} from {Id}");

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        if (_client is { } client) await client.DisposeAsync();
        await _watch;
        _process?.Dispose();
        _closing.Dispose();
    }

    // Only an agent that is too old is not waited for. When the live one has just gone, confirming fails and says so.
    private bool IsSeen(GuestBus bus) => links.Info(Id) is null || links.CanSee(Id, bus);

    private static SwitchException Explain(QmpException failure, string doing) => new(
        failure is QmpTimeoutException ? Failure.TimedOut : Failure.Failed, $"{doing} failed: {failure.Message.TrimEnd('.')}", failure);

    /// <summary>Asks QEMU something. Null when it isn't running, or dies meanwhile: with it went all that it held.</summary>
    private async Task<T?> WhileItRunsAsync<T>(Func<QmpClient, Task<T>> ask, string doing)
        where T : class
    {
        if (!Status.HasProcess) return null;
        if (_client is null && await HasExitedSoonAsync()) return null;
        try
        {
            return await ask(Client);
        }
        catch (QmpException failure)
        {
            return failure is QmpDisconnectedException && await HasExitedSoonAsync() ? null : throw Explain(failure, doing);
        }
    }

    private async Task<bool> HasExitedSoonAsync()
    {
        if (_process is not { } process) return true;
        try
        {
            await process.Exited.WaitAsync(ExitFollowsClose, clock, _closing.Token);
            return true;
        }
        catch (Exception notYet) when (notYet is TimeoutException or OperationCanceledException)
        {
            return false;
        }
    }
}
