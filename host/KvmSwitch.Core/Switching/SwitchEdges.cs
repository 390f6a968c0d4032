using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>How long each kind of step may take.</summary>
public sealed record StepDeadlines
{
    public TimeSpan Observe { get; init; } = TimeSpan.FromSeconds(3);
    public TimeSpan Persist { get; init; } = TimeSpan.FromSeconds(5);
    public TimeSpan Attach { get; init; } = TimeSpan.FromSeconds(5);
    public TimeSpan Confirm { get; init; } = TimeSpan.FromSeconds(10);
    public TimeSpan Detach { get; init; } = TimeSpan.FromSeconds(5);
    public TimeSpan Restore { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Storage is unmounted first, and a slow stick takes its time; a drive may have to load its disc.</summary>
    public TimeSpan AttachStorage { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Whole controllers take longer: the first vfio attach up to 3.4 s, guests that unplug natively 6 s, and a bus behind them has to
    /// be enumerated.
    /// </summary>
    public double ControllerFactor { get; init; } = 2;

    internal TimeSpan Of(Step step)
    {
        var usual = step switch
        {
            Step.Attach { Device.Class: DeviceClass.Storage, Device.Route: not DeviceRoute.Virtual } => AttachStorage,
            Step.Attach => Attach,
            Step.Confirm => Confirm,
            Step.Detach or Step.Wrest => Detach,
            _ => Restore,
        };
        return step.Device.Route is DeviceRoute.Controller ? usual * ControllerFactor : usual;
    }
}

/// <summary>The edges that handoffs act on.</summary>
public sealed record SwitchEdges(
    Func<Device, IHostSide> HostSide, ImmutableDictionary<MachineId, IMachineSide> Machines, IHandoffJournal Journal, TimeProvider Clock)
{
    public StepDeadlines Deadlines { get; init; } = new();

    /// <summary>Whether the host keeps a keyboard that works when these devices leave it, or has none to lose.</summary>
    public Func<ImmutableArray<Device>, CancellationToken, Task<bool>> KeepsKeyboard { get; init; } = (_, _) => Task.FromResult(true);
}
