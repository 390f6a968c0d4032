using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace KvmSwitch.Core;

/// <summary>What a run ended with.</summary>
/// <param name="Observed">Where each device was seen at the end; a device that could not be observed is missing.</param>
/// <param name="Trouble">Devices that are not where they should be, and why.</param>
internal sealed record RunResult(
    Outcome Outcome,
    string? Error,
    ImmutableDictionary<DeviceId, Observation> Observed,
    ImmutableDictionary<DeviceId, string> Trouble,
    ImmutableArray<HandoffStep> Steps);

/// <summary>These devices to that machine.</summary>
/// <param name="Live">The machines whose agents were live when this was decided.</param>
/// <param name="Force">The user overrides what speaks against it on the host.</param>
internal sealed record GiveOrder(ImmutableArray<Device> Devices, MachineId To, ImmutableHashSet<MachineId> Live, bool Force);

/// <summary>Carries one handoff out: observe, plan, act, verify, and undo when a step fails. Knows no state but its own.</summary>
/// <param name="suspects">
/// The machines that may hold a device, as far as is known. They have to answer for it; a machine that hangs and has nothing to do
/// with a device must not hold it up.
/// </param>
/// <param name="overdue">Is told of a step that was given up on and did not wind down: nobody knows what it will still do.</param>
internal sealed class HandoffRun(
    string id, SwitchEdges edges, ImmutableDictionary<DeviceId, ImmutableHashSet<MachineId>> suspects, Action<Step, Task> overdue)
{
    /// <summary>How long a step that is given up on may take to wind down, so that its undo doesn't overtake it.</summary>
    private static readonly TimeSpan WindDown = TimeSpan.FromMilliseconds(500);

    /// <summary>Undo goes last in first out; a device that takes longer than this to let go holds up the next one no more.</summary>
    private static readonly TimeSpan UndoPatience = TimeSpan.FromSeconds(1);

    private readonly Observer _observer = new(edges, suspects);
    private readonly long _started = edges.Clock.GetTimestamp();
    private readonly ConcurrentQueue<HandoffStep> _steps = new();
    private readonly ConcurrentDictionary<DeviceId, ImmutableDictionary<int, GuestIdentity>> _identities = new();

    /// <summary>Devices with a step that did not wind down: nobody knows what it will still do.</summary>
    private readonly ConcurrentDictionary<DeviceId, bool> _overdue = new();

    /// <summary>Devices that were taken from a QEMU by force.</summary>
    private readonly ConcurrentDictionary<DeviceId, bool> _wrested = new();

    /// <summary>All devices to one machine, or all back.</summary>
    /// <param name="persist">Writes down what is wanted, while is looked where everything is; it has ended before anything is touched that outlives the daemon.</param>
    public async Task<RunResult> GiveAsync(GiveOrder order, Func<CancellationToken, Task> persist, CancellationToken cancellationToken)
    {
        var (devices, to) = (order.Devices, order.To);
        var begun = new Stack<Step>();
        var before = ImmutableDictionary<DeviceId, Observation>.Empty;
        var saving = Deadline.HoldAsync(persist, edges.Deadlines.Persist, "writing the state", edges.Clock, cancellationToken);
        _ = NeededPerhaps(saving);
        try
        {
            before = await _observer.ObserveAsync(devices, cancellationToken);
            var plan = Planner.Plan([.. devices.Select(device => new Move(device, before[device.Id], to))], Confirms);
            if (plan.IsEmpty) return new(Outcome.Unchanged, null, before, Nothing, Steps());
            await CheckKeyboardAsync(order, cancellationToken);
            // What is relayed is the host's whenever the daemon ends, whatever is written.
            if (devices.Any(device => device.Route.IsHeldByQemu)) await saving;
            foreach (var phase in Phases(plan)) await RunPhaseAsync(phase, begun, order.Force, cancellationToken);
            var after = await _observer.ObserveAsync(devices, cancellationToken);
            if (devices.FirstOrDefault(device => !after[device.Id].IsAt(to)) is { } lost)
                throw new SwitchException(Failure.Failed, $"{lost.Id} left {to} as soon as it had arrived");
            return new(Outcome.Done, null, after, Nothing, Steps());
        }
        catch (Exception failure) when (failure is SwitchException or OperationCanceledException)
        {
            // Called back: home is the end then, and no machine gets anything on the way.
            return await RollBackAsync(
                devices, begun, before, failure, machine => !cancellationToken.IsCancellationRequested && order.Live.Contains(machine), cancellationToken);
        }

        bool Confirms(Device device, MachineId machine) => order.Live.Contains(machine) && edges.Machines[machine].CanConfirm(device);
    }

    // Who needs it awaits it, and meets its failure; else the state is written again in the end, and what fails then is reported.
    private static async Task NeededPerhaps(Task saving) => await saving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>Without a live agent in the guest nothing there gives a keyboard back.</summary>
    private async Task CheckKeyboardAsync(GiveOrder order, CancellationToken cancellationToken)
    {
        var leaving = order.Devices.Where(device => device.Route.IsHeldByQemu).ToImmutableArray();
        if (order.Force || order.Live.Contains(order.To) || leaving.IsEmpty) return;
        var keeps = true;
        await Deadline.HoldAsync(
            async token => keeps = await edges.KeepsKeyboard(leaving, token), edges.Deadlines.Observe, "looking for the host's keyboards",
            edges.Clock, cancellationToken);
        if (!keeps)
        {
            throw new SwitchException(
                Failure.Refused,
                $"that would take the host's last keyboard while no agent is live in {order.To} to give it back; start the agent there, " +
                "give the keyboard by route \"input\", or say --force");
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
            seen = await ObserveOrWrestAsync(device);
            Task<Answer[]>? asked = null;
            foreach (var step in Planner.Plan([new(device, seen, Owner.Host)], (_, _) => false))
            {
                // The machines answer while the host is waited for: QEMU has let go, and nothing changes there any more.
                if (step is Step.Restore) asked = _observer.AskAsync([device], CancellationToken.None);
                await UndoneByAsync(step, "");
            }

            seen = await ObserveHomeAsync(device, asked);
            return (device.Id, seen, seen.IsAt(Owner.Host) || Placement.Of(seen).Where == Whereabouts.Absent
                ? null
                : $"{device.Id} is not home yet");
        }
        catch (SwitchException failure)
        {
            return (device.Id, seen, failure.Message);
        }
    }

    /// <summary>A QEMU that doesn't even answer can't be asked to let go: the device is taken from it at once.</summary>
    private async Task<Observation> ObserveOrWrestAsync(Device device)
    {
        try
        {
            return await ObserveAsync(device, CancellationToken.None);
        }
        catch (SwitchException silent) when (suspects[device.Id].Count == 1)
        {
            await WrestAsync(device, suspects[device.Id].Single(), "", silent);
            return await _observer.ObserveHostAsync(device);
        }
    }

    /// <summary>Of a device that was wrested from a QEMU that hangs, the host alone can tell.</summary>
    /// <param name="asked">Where the machines were asked already.</param>
    private async Task<Observation> ObserveHomeAsync(Device device, Task<Answer[]>? asked = null)
    {
        if (_wrested.ContainsKey(device.Id)) return await _observer.ObserveHostAsync(device);
        return (await _observer.ObserveAsync([device], asked ?? _observer.AskAsync([device], CancellationToken.None), CancellationToken.None))[device.Id];
    }

    /// <summary>Back to the machine that had it; who calls it home meanwhile doesn't wait for that.</summary>
    private async Task ReturnAsync(Step.Attach back, CancellationToken calledHome)
    {
        try
        {
            await RunAsync(back, calledHome, prefix: "undo ");
        }
        catch (OperationCanceledException)
        {
            foreach (var step in Planner.Undo(back, _ => false)) await UndoneByAsync(step, "undo ");
        }
    }

    /// <summary>A step on the way home. One that QEMU doesn't do is done from the host's side, where the kernel can.</summary>
    private async Task UndoneByAsync(Step step, string prefix)
    {
        try
        {
            await RunAsync(step, CancellationToken.None, prefix: prefix);
        }
        catch (SwitchException stuck) when (step is Step.Detach detach)
        {
            await WrestAsync(detach.Device, detach.From, prefix, stuck);
        }
    }

    /// <exception cref="SwitchException">The host can't do it either: what is told is why it was tried.</exception>
    private async Task WrestAsync(Device device, MachineId from, string prefix, SwitchException because)
    {
        try
        {
            await RunAsync(new Step.Wrest(device, from), CancellationToken.None, prefix: prefix);
        }
        catch (SwitchException vain)
        {
            throw new SwitchException(because.Failure, because.Message, vain);
        }
    }

    private static IEnumerable<ImmutableArray<Step>> Phases(ImmutableArray<Step> plan) =>
        plan.GroupBy(step => step.GetType()).Select(phase => phase.ToImmutableArray());

    /// <summary>
    /// Attaching goes one by one, so that the ports fill in the order of the set; everything else waits for somebody and
    /// goes side by side.
    /// </summary>
    private async Task RunPhaseAsync(ImmutableArray<Step> phase, Stack<Step> begun, bool force, CancellationToken cancellationToken)
    {
        if (phase[0] is Step.Attach)
        {
            foreach (var step in phase)
            {
                begun.Push(step);
                await RunAsync(step, cancellationToken, force);
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
        Func<MachineId, bool> returnsTo, CancellationToken calledHome)
    {
        var trouble = await UndoAsync(begun, returnsTo, calledHome);
        var observed = ImmutableDictionary.CreateBuilder<DeviceId, Observation>();
        foreach (var device in devices)
        {
            try
            {
                var seen = observed[device.Id] = await ObserveHomeAsync(device);
                if (before.TryGetValue(device.Id, out var was) && !IsBack(seen, was)) trouble.TryAdd(device.Id, $"{device.Id} is not home yet");
            }
            catch (SwitchException blind)
            {
                trouble[device.Id] = blind.Message;
            }
        }

        var outcome = !trouble.IsEmpty ? Outcome.Failed : (failure as SwitchException)?.Failure switch
        {
            Failure.TimedOut => Outcome.TimedOut,
            Failure.Refused => Outcome.Refused,
            _ => Outcome.RolledBack,
        };
        var error = failure is OperationCanceledException ? null : failure.Message;
        return new(outcome, error, observed.ToImmutable(), trouble.ToImmutableDictionary(), Steps());
    }

    /// <summary>Takes back what was begun, last in first out, and tells what could not be.</summary>
    private async Task<ConcurrentDictionary<DeviceId, string>> UndoAsync(
        Stack<Step> begun, Func<MachineId, bool> returnsTo, CancellationToken calledHome)
    {
        var trouble = new ConcurrentDictionary<DeviceId, string>();
        var undoing = new List<Task>();
        foreach (var steps in begun.GroupBy(step => step.Device.Id))
        {
            undoing.Add(UndoOneAsync(steps.Key, steps));
            await undoing[^1].WaitAsync(UndoPatience, edges.Clock, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(undoing);
        return trouble;

        async Task UndoOneAsync(DeviceId device, IEnumerable<Step> steps)
        {
            try
            {
                foreach (var undo in steps.SelectMany(step => Planner.Undo(step, machine => !_overdue.ContainsKey(device) && returnsTo(machine))))
                    await (undo is Step.Attach back ? ReturnAsync(back, calledHome) : UndoneByAsync(undo, "undo "));
            }
            catch (SwitchException stuck)
            {
                // What could not be taken back may still hold it: giving it to another now would put it in two places.
                trouble[device] = stuck.Message;
            }
        }
    }

    /// <summary>Home, unplugged, or where it was.</summary>
    private static bool IsBack(Observation seen, Observation was) =>
        seen.Machines.IsEmpty ? seen.Host != HostSight.Unserved : seen.Machines.SetEquals(was.Machines);

    private async Task RunAsync(Step step, CancellationToken cancellationToken, bool force = false, string prefix = "")
    {
        edges.Journal.StepBegins(id, step);
        var start = edges.Clock.GetElapsedTime(_started);
        string? error = null;
        try
        {
            await Deadline.HoldAsync(
                token => ActAsync(step, force, token), edges.Deadlines.Of(step), Describe(step), edges.Clock, cancellationToken,
                acting => WindDownAsync(acting, step));
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

    private Task ActAsync(Step step, bool force, CancellationToken cancellationToken) => step switch
    {
        Step.Attach attach => AttachAsync(attach, force, cancellationToken),
        Step.Confirm confirm => edges.Machines[confirm.To].ConfirmAsync(step.Device, _identities[step.Device.Id], cancellationToken),
        Step.Detach detach => DetachAsync(detach, cancellationToken),
        Step.Wrest wrest => WrestAsync(wrest, cancellationToken),
        _ => edges.HostSide(step.Device).RestoreAsync(step.Device, cancellationToken),
    };

    private async Task AttachAsync(Step.Attach step, bool force, CancellationToken cancellationToken)
    {
        var (host, machine) = (edges.HostSide(step.Device), edges.Machines[step.To]);
        var recipient = await machine.IdentifyAsync(cancellationToken);
        using var prepared = await host.PrepareAsync(step.Device, recipient, force, cancellationToken);
        var attachment = prepared with { IsUnlisted = step.IsUnlisted && suspects[step.Device.Id].Contains(step.To) };
        _identities[step.Device.Id] = attachment.Parts.ToImmutableDictionary(part => part.Slot, part => part.Identity);

        // Opened after everybody gave up on it: attaching it now would undo the undo.
        cancellationToken.ThrowIfCancellationRequested();
        await machine.AttachAsync(attachment, cancellationToken);
        await host.LendAsync(step.Device, step.To, cancellationToken);
    }

    private async Task DetachAsync(Step.Detach step, CancellationToken cancellationToken)
    {
        await edges.HostSide(step.Device).RecallAsync(step.Device, cancellationToken);
        if (step.Device.Route.IsHeldByQemu) await edges.Machines[step.From].DetachAsync(step.Device, cancellationToken);
    }

    private async Task WrestAsync(Step.Wrest step, CancellationToken cancellationToken)
    {
        if (!await edges.HostSide(step.Device).WrestAsync(step.Device, cancellationToken))
            throw new SwitchException(Failure.Failed, $"{step.Device.Id} can't be taken from {step.From} by force");
        _wrested[step.Device.Id] = true;
    }

    private static string Describe(Step step) => step switch
    {
        Step.Attach attach => $"attaching {step.Device.Id} to {attach.To}",
        Step.Confirm confirm => $"waiting for {confirm.To} to see {step.Device.Id}",
        Step.Detach detach => $"detaching {step.Device.Id} from {detach.From}",
        Step.Wrest wrest => $"taking {step.Device.Id} from {wrest.From} by force",
        _ => $"waiting for the host to serve {step.Device.Id} again",
    };

    private async Task<Observation> ObserveAsync(Device device, CancellationToken cancellationToken) =>
        (await _observer.ObserveAsync([device], cancellationToken))[device.Id];

    private async Task WindDownAsync(Task acting, Step step)
    {
        await acting.WaitAsync(WindDown, edges.Clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (acting.IsCompleted) return;
        _overdue[step.Device.Id] = true;
        overdue(step, acting);
    }
}
