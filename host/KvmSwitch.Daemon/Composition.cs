using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.GuestTools;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Daemon.Persistence;
using KvmSwitch.Daemon.Routes;
using KvmSwitch.Linux;

namespace KvmSwitch.Daemon;

/// <summary>All the parts of a daemon, put together.</summary>
internal sealed class Composition : IAsyncDisposable
{
    private readonly StateLock _lock;

    private Composition(StateLock stateLock, SwitchConfiguration configuration, CertificateAuthority authority, GuestRegister register) =>
        (_lock, Configuration, Authority, Register) = (stateLock, configuration, authority, register);

    public SwitchConfiguration Configuration { get; }

    public CertificateAuthority Authority { get; }

    public GuestRegister Register { get; }

    public required HostSides Sides { get; init; }

    public required HardwareWatch Hardware { get; init; }

    public required GuestLinks Links { get; init; }

    public required Signals Signals { get; init; }

    public required MachinePark Machines { get; init; }

    public required HandoffLog History { get; init; }

    public required Switcher Switcher { get; init; }

    public required Switchboard Switchboard { get; init; }

    public required DaemonState State { get; init; }

    public required PairingDesk Desk { get; init; }

    public required ToolsDesk Tools { get; init; }

    /// <summary>Opens what is on the disk and builds the rest. Nothing runs yet.</summary>
    public static async Task<Composition> OpenAsync(
        SwitchConfiguration configuration, DaemonPaths paths, KernelPaths kernel, TimeProvider clock, ILoggerFactory logs,
        CancellationToken cancellationToken)
    {
        foreach (var directory in new[] { paths.Runtime, paths.State, paths.RuntimeMachines, paths.StateMachines, paths.GuestTools })
            Directory.CreateDirectory(directory, Permissions(directory, paths));
        var stateLock = StateLock.Take(paths.State);
        var authority = await CertificateAuthority.OpenAsync(paths.State, clock, cancellationToken);
        var register = await GuestRegister.OpenAsync(paths.State, cancellationToken);
        var (links, signals) = (new GuestLinks(clock), new Signals());
        var machines = Park(configuration, paths, signals, links, clock, logs);
        var history = new HandoffLog(paths.History, logs.CreateLogger<HandoffLog>());
        var sides = await HostSides.OpenAsync(
            kernel, paths.DriverMemory, configuration.Devices, !configuration.HostHotkeys.IsEmpty, clock, logs.CreateLogger<HostSides>(), cancellationToken);
        var edges = new SwitchEdges(
            sides.Of, machines.All.ToImmutableDictionary(pair => pair.Key, pair => (IMachineSide)pair.Value), history, clock)
        {
            KeepsKeyboard = sides.KeepsKeyboardAsync,
        };
        var lease = new LeaseTimes(configuration.Lease.Timeout, configuration.Lease.ReconnectGrace);
        var switcher = new Switcher(
            new(configuration.Devices, [.. configuration.Machines.Select(machine => machine.Id)], lease) { RescueWithin = configuration.Daemon.RescueWithin }, edges,
            new StateFile(paths.StateFile, logs.CreateLogger<StateFile>()));
        var switchboard = new Switchboard(configuration, switcher, edges.Machines);
        var state = new DaemonState(configuration, switcher, machines, links);
        signals.Connect(switcher, switchboard, links, state);
        var desk = new PairingDesk(authority.Fingerprint, () => configuration.Daemon.Advertise, clock);
        var images = new DiscImages(paths.GuestTools, configuration.Daemon, clock);
        return new(stateLock, configuration, authority, register)
        {
            Sides = sides, Hardware = new(configuration, sides, switcher, switchboard, logs.CreateLogger<HardwareWatch>()), Links = links, Signals = signals, Machines = machines, History = history, Switcher = switcher, Switchboard = switchboard, State = state,
            Desk = desk, Tools = new(configuration, machines, desk, images, clock, logs.CreateLogger<ToolsDesk>()),
        };
    }

    /// <summary>What the gRPC services ask for.</summary>
    public void AddTo(IServiceCollection services, TimeProvider clock)
    {
        var lease = Configuration.Lease;
        services.AddSingleton(clock).AddSingleton(Switchboard).AddSingleton(Sides).AddSingleton(State).AddSingleton(Machines).AddSingleton(History)
            .AddSingleton(Desk).AddSingleton(Tools).AddSingleton(Register).AddSingleton(Links).AddSingleton<IGuestListener>(Signals)
            .AddSingleton(new GuestTrust(Authority, Register, Desk, Links, id => Machines.All.ContainsKey(id), clock))
            .AddSingleton(new GuestLinkSettings(lease.Heartbeat, lease.Timeout, DaemonState.Version));
    }

    /// <summary>Finds the machines that run, starts switching, and returns once the first look around is over.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var machine in Configuration.Machines) Links.PublishHotkeys(machine.Id, GuestHotkeys.For(machine.Id, Configuration.Hotkeys));
        var running = await Machines.AdoptAsync(cancellationToken);
        await Switcher.StartAsync(running).WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await Switcher.DisposeAsync();
        await Tools.DisposeAsync();
        await Machines.DisposeAsync();
        await Sides.DisposeAsync();
        await History.DisposeAsync();
        Register.Dispose();
        Authority.Dispose();
        _lock.Dispose();
    }

    private static UnixFileMode Permissions(string directory, DaemonPaths paths)
    {
        const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        const UnixFileMode Pass = Own | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

        // Others may pass through to the control socket and to their machine's directory, and see nothing on the way.
        return directory == paths.State && !Environment.IsPrivilegedProcess ? Own : Pass;
    }

    private static MachinePark Park(
        SwitchConfiguration configuration, DaemonPaths paths, Signals signals, GuestLinks links, TimeProvider clock, ILoggerFactory logs)
    {
        var launcher = ProcessLauncher.ForThisSystem();
        var log = logs.CreateLogger<MachineRuntime>();
        var runtimes = new List<MachineRuntime>();
        var powers = new Dictionary<MachineId, MachinePower>();
        var restarts = new List<CrashRestart>();
        foreach (var options in configuration.Machines)
        {
            var files = MachinePaths.Below(paths.RuntimeMachines, paths.StateMachines, options.Id);
            if (options is ExternalMachine external)
            {
                runtimes.Add(new(external, external.QmpSocket, signals, links, clock, log));
                continue;
            }

            var managed = (ManagedMachine)options;
            var runtime = new MachineRuntime(managed, MachinePaths.CheckSocket(files.QmpSocket), signals, links, clock, log);
            runtimes.Add(runtime);
            var power = new MachinePower(managed, files, configuration.Daemon, runtime, links, launcher, clock);
            powers.Add(managed.Id, power);
            if (managed.Restart == RestartPolicy.OnCrash) restarts.Add(new(managed.Id, runtime, power, clock, log));
        }

        return new(runtimes, powers, restarts);
    }
}
