using System.Collections.Concurrent;
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

    internal TimeSpan Of(Step step) => step switch
    {
        Step.Attach => Attach,
        Step.Confirm => Confirm,
        Step.Detach => Detach,
        _ => Restore,
    };
}

/// <summary>The edges that handoffs act on.</summary>
public sealed record SwitchEdges(
    Func<Device, IHostSide> HostSide, ImmutableDictionary<MachineId, IMachineSide> Machines, IHandoffJournal Journal, TimeProvider Clock)
{
    public StepDeadlines Deadlines { get; init; } = new();
}

/// <summary>What a run ended with.</summary>
/// <param name="Observed">Where each device was seen at the end; a device that could not be observed is missing.</param>
/// <param name="Trouble">Devices that are not where they should be, and why.</param>
internal sealed record RunResult(
    Outcome Outcome,
    string? Error,
    ImmutableDictionary<DeviceId, Observation> Observed,
    ImmutableDictionary<DeviceId, string> Trouble,
    ImmutableArray<HandoffStep> Steps);

/// <summary>Carries one handoff out: observe, plan, act, verify, and undo when a step fails. Knows no state but its own.</summary>
/// <param name="suspects">
/// The machines that may hold a device, as far as is known. They have to answer for it; a machine that hangs and has nothing to do
/// with a device must not hold it up.
/// </param>
/// <param name="late">A step that was given up on has ended after all: its effect, if any, wants a look.</param>
internal sealed class HandoffRun(
    string id, SwitchEdges edges, ImmutableDictionary<DeviceId, ImmutableHashSet<MachineId>> suspects, Action late)
{
    /// <summary>How long a step that is given up on may take to wind down, so that its undo doesn't overtake it.</summary>
    private static readonly TimeSpan WindDown = TimeSpan.FromMilliseconds(500);

    private readonly Observer _observer = new(edges, suspects);
    private readonly long _started = edges.Clock.GetTimestamp();
    private readonly ConcurrentQueue<HandoffStep> _steps = new();
    private readonly ConcurrentDictionary<DeviceId, GuestIdentity> _identities = new();

    /// <summary>Devices with a step that did not wind down: nobody knows what it will still do.</summary>
    private readonly ConcurrentDictionary<DeviceId, bool> _overdue = new();

    /// <summary>All devices to one machine, or all back.</summary>
    /// <param name="persist">Writes down what is wanted; runs before anything is touched.</param>
    public async Task<RunResult> GiveAsync(
        ImmutableArray<Device> devices, MachineId to, Func<MachineId, bool> confirms, Func<MachineId, bool> returnsTo,
        Func<CancellationToken, Task> persist, CancellationToken cancellationToken)
    {
        var begun = new Stack<Step>();
        var before = ImmutableDictionary<DeviceId, Observation>.Empty;
        try
        {
            before = await _observer.ObserveAsync(devices, cancellationToken);
            var plan = Planner.Plan([.. devices.Select(device => new Move(device, before[device.Id], to))], confirms);
            if (plan.IsEmpty) return new(Outcome.Unchanged, null, before, Nothing, Steps());
            await Deadline.HoldAsync(persist, edges.Deadlines.Persist, "writing the state", edges.Clock, cancellationToken);
            foreach (var phase in Phases(plan)) await RunPhaseAsync(phase, begun, cancellationToken);
            var after = await _observer.ObserveAsync(devices, cancellationToken);
            if (devices.FirstOrDefault(device => !after[device.Id].IsAt(to)) is { } lost)
                throw new SwitchException(Failure.Failed, $"{lost.Id} left {to} as soon as it had arrived");
            return new(Outcome.Done, null, after, Nothing, Steps());
        }
        catch (Exception failure) when (failure is SwitchException or OperationCanceledException)
        {
            // Called back: home is the end then, and no machine gets anything on the way.
            return await RollBackAsync(
                devices, begun, before, failure, machine => !cancellationToken.IsCancellationRequested && returnsTo(machine));
        }
    }

    /// <summary>
    /// Every device home, each for itself: one that is stuck keeps no other from coming home.
    /// </summary>
    /// <param name="after">What each device has to wait for first: the end of a handoff that this one pre-empts.</param>
    public async Task<RunResult> BringHomeAsync(ImmutableArray<Device> devices, Func<DeviceId, Task> after)
    {
        var results = await Task.WhenAll(devices.Select(device => BringOneHomeAsync(device, after(device.Id))));
        var trouble = results.Where(result => result.Trouble is not null).ToImmutableDictionary(result => result.Id, result => result.Trouble!);
        var observed = results.Where(result => result.Seen is not null).ToImmutableDictionary(result => result.Id, result => result.Seen!);
        var outcome = !trouble.IsEmpty ? Outcome.Failed : _steps.IsEmpty ? Outcome.Unchanged : Outcome.Done;
        return new(outcome, trouble.IsEmpty ? null : string.Join("; ", trouble.Values), observed, trouble, Steps());
    }

    private static ImmutableDictionary<DeviceId, string> Nothing => ImmutableDictionary<DeviceId, string>.Empty;

    private ImmutableArray<HandoffStep> Steps() => [.. _steps.OrderBy(step => step.Start)];

    private async Task<(DeviceId Id, Observation? Seen, string? Trouble)> BringOneHomeAsync(Device device, Task after)
    {
        await after;
        Observation? seen = null;
        try
        {
            seen = await ObserveAsync(device, CancellationToken.None);
            foreach (var step in Planner.Plan([new(device, seen, Owner.Host)], _ => false)) await RunAsync(step, CancellationToken.None);
            seen = await ObserveAsync(device, CancellationToken.None);
            return (device.Id, seen, seen.IsAt(Owner.Host) || Placement.Of(seen).Where == Whereabouts.Absent
                ? null
                : $"{device.Id} is not home yet");
        }
        catch (SwitchException failure)
        {
            return (device.Id, seen, failure.Message);
        }
    }

    private static IEnumerable<ImmutableArray<Step>> Phases(ImmutableArray<Step> plan) =>
        plan.GroupBy(step => step.GetType()).Select(phase => phase.ToImmutableArray());

    /// <summary>
    /// Attaching goes one by one, so that the ports fill in the order of the set; everything else waits for somebody and
    /// goes side by side.
    /// </summary>
    private async Task RunPhaseAsync(ImmutableArray<Step> phase, Stack<Step> begun, CancellationToken cancellationToken)
    {
        if (phase[0] is Step.Attach)
        {
            foreach (var step in phase)
            {
                begun.Push(step);
                await RunAsync(step, cancellationToken);
            }

            return;
        }

        using var siblings = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        SwitchException? first = null;
        foreach (var step in phase) begun.Push(step);
        await Task.WhenAll(phase.Select(async step =>
        {
            try
            {
                await RunAsync(step, siblings.Token);
            }
            catch (SwitchException failure)
            {
                Interlocked.CompareExchange(ref first, failure, null);
                await siblings.CancelAsync();
            }
            catch (OperationCanceledException) when (first is not null)
            {
                // Cancelled because a sibling failed: that failure is the one to tell.
            }
        }));
        if (first is not null) throw first;
    }

    private async Task<RunResult> RollBackAsync(
        ImmutableArray<Device> devices, Stack<Step> begun, ImmutableDictionary<DeviceId, Observation> before, Exception failure,
        Func<MachineId, bool> returnsTo)
    {
        var trouble = ImmutableDictionary.CreateBuilder<DeviceId, string>();
        while (begun.TryPop(out var step))
        {
            var device = step.Device.Id;

            // What could not be taken back may still hold it: giving it to another now would put it in two places.
            if (trouble.ContainsKey(device)) continue;
            try
            {
                foreach (var undo in Planner.Undo(step, machine => !_overdue.ContainsKey(device) && returnsTo(machine))) await RunAsync(undo, CancellationToken.None, "undo ");
            }
            catch (SwitchException stuck)
            {
                trouble[device] = stuck.Message;
            }
        }

        var observed = ImmutableDictionary.CreateBuilder<DeviceId, Observation>();
        foreach (var device in devices)
        {
            try
            {
                var seen = observed[device.Id] = await ObserveAsync(device, CancellationToken.None);
                if (before.TryGetValue(device.Id, out var was) && !IsBack(seen, was)) trouble.TryAdd(device.Id, $"{device.Id} is not home yet");
            }
            catch (SwitchException blind)
            {
                trouble[device.Id] = blind.Message;
            }
        }

        var timedOut = failure is SwitchException { Failure: Failure.TimedOut };
        var outcome = trouble.Count > 0 ? Outcome.Failed : timedOut ? Outcome.TimedOut : Outcome.RolledBack;
        var error = failure is OperationCanceledException ? null : failure.Message;
        return new(outcome, error, observed.ToImmutable(), trouble.ToImmutable(), Steps());
    }

    /// <summary>Home, unplugged, or where it was.</summary>
    private static bool IsBack(Observation seen, Observation was) =>
        seen.Machines.IsEmpty ? seen.Host != HostSight.Unserved : seen.Machines.SetEquals(was.Machines);

    private async Task RunAsync(Step step, CancellationToken cancellationToken, string prefix = "")
    {
        edges.Journal.StepBegins(id, step);
        var start = edges.Clock.GetElapsedTime(_started);
        string? error = null;
        try
        {
            await Deadline.HoldAsync(
                token => ActAsync(step, token), edges.Deadlines.Of(step), Describe(step), edges.Clock, cancellationToken,
                acting => WindDownAsync(acting, step.Device.Id));
        }
        catch (SwitchException failure)
        {
            error = failure.Message;
            throw;
        }
        catch (OperationCanceledException)
        {
            error = "cancelled";
            throw;
        }
        finally
        {
            _steps.Enqueue(new(prefix + step.Name, step.Device.Id, start, edges.Clock.GetElapsedTime(_started) - start, error));
        }
    }

    private Task ActAsync(Step step, CancellationToken cancellationToken) => step switch
    {
        Step.Attach attach => AttachAsync(attach, cancellationToken),
        Step.Confirm confirm => edges.Machines[confirm.To].ConfirmAsync(step.Device, _identities[step.Device.Id], cancellationToken),
        Step.Detach detach => edges.Machines[detach.From].DetachAsync(step.Device, cancellationToken),
        _ => edges.HostSide(step.Device).RestoreAsync(step.Device, cancellationToken),
    };

    private async Task AttachAsync(Step.Attach step, CancellationToken cancellationToken)
    {
        using var attachment = await edges.HostSide(step.Device).PrepareAsync(step.Device, cancellationToken);
        _identities[step.Device.Id] = attachment.Identity;

        // Opened after everybody gave up on it: attaching it now would undo the undo.
        cancellationToken.ThrowIfCancellationRequested();
        await edges.Machines[step.To].AttachAsync(attachment, cancellationToken);
    }

    private static string Describe(Step step) => step switch
    {
        Step.Attach attach => $"attaching {step.Device.Id} to {attach.To}",
        Step.Confirm confirm => $"waiting for {confirm.To} to see {step.Device.Id}",
        Step.Detach detach => $"detaching {step.Device.Id} from {detach.From}",
        _ => $"waiting for the host to serve {step.Device.Id} again",
    };

    private async Task<Observation> ObserveAsync(Device device, CancellationToken cancellationToken) =>
        (await _observer.ObserveAsync([device], cancellationToken))[device.Id];

    private async Task WindDownAsync(Task acting, DeviceId device)
    {
        await acting.WaitAsync(WindDown, edges.Clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (acting.IsCompleted) return;
        _overdue[device] = true;
        _ = acting.ContinueWith(_ => late(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }
}
