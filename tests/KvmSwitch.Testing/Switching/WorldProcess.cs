using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Switching;

/// <summary>
/// One life of the daemon, as its edges see it. Killed, it has no effect any more: its calls never return, and what it
/// had open is closed.
/// </summary>
public sealed class WorldProcess(FakeWorld world) : IStateStore, IHandoffJournal
{
    private static readonly Task Never = new TaskCompletionSource().Task;
    private readonly TaskCompletionSource _killed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<DeviceId> _open = [];
    private bool _dead;
    private int _calls;

    /// <summary>It is killed at this call, counted from 1; 0 for never.</summary>
    public int KillAt { get; set; }

    /// <summary>The call at which it is killed still takes effect.</summary>
    public bool KillAfterEffect { get; set; }

    /// <summary>Completes when it was killed.</summary>
    public Task Killed => _killed.Task;

    /// <summary>How many calls it has made.</summary>
    public int Calls => world.Locked(() => _calls);

    public SwitchEdges Edges(IEnumerable<MachineId> machines)
    {
        var host = new WorldHostSide(world, this);
        return new(
            _ => host,
            machines.ToImmutableDictionary(id => id, id => (IMachineSide)new WorldMachineSide(world, this, id)), this, world.Clock);
    }

    public void Kill() => world.Locked(() =>
    {
        if (_dead) return;
        _dead = true;
        foreach (var device in _open) world.CloseOne(device);
        _open.Clear();
        _killed.TrySetResult();
    });

    public ImmutableDictionary<DeviceId, Desired> Load() => world.Unreadable
        ? throw new SwitchException(Failure.Failed, "the state file is damaged; remove it and start again")
        : world.Saved;

    public async Task SaveAsync(ImmutableDictionary<DeviceId, Desired> state, CancellationToken cancellationToken)
    {
        try
        {
            await CallAsync(WorldCall.Save, null, null, _ => world.Saved = state, cancellationToken);
        }
        catch (SwitchException failure)
        {
            throw new IOException("no space left on device", failure);
        }
    }

    public void ReportFailure(IOException failure) => world.ReportFailure();

    public void Record(Handoff handoff) => IfAlive(() => world.Record(handoff));

    public void StepBegins(string handoff, Step step)
    {
    }

    /// <summary>Lets a call happen, or go wrong as <see cref="FakeWorld.Faults"/> says.</summary>
    internal async Task<T> CallAsync<T>(
        WorldCall call, DeviceId? device, MachineId? machine, Func<bool, T> effect, CancellationToken cancellationToken)
    {
        var called = new WorldCalled(Count(), call, device, machine);
        var fault = world.Faults.Of(called);
        if (fault is WorldFault.Throws thrown) throw thrown.Exception;
        await Task.Yield();
        if (called.Number == KillAt && !KillAfterEffect) Kill();
        await BeforeAsync(fault, called, cancellationToken);
        var late = fault is WorldFault.Late or WorldFault.LateUntil && cancellationToken.IsCancellationRequested;
        if (!IfAlive(() => effect(late), out var result)) await Never;
        if (called.Number == KillAt) Kill();
        if (fault is not (WorldFault.FailAfter or WorldFault.HangAfter)) return result!;

        // Who prepared it must close it when nobody will get it.
        (result as IDisposable)?.Dispose();
        if (fault is WorldFault.HangAfter) await Never.WaitAsync(cancellationToken);
        throw FakeWorld.Fail($"{call} failed after its effect");
    }

    /// <summary>A descriptor for a device that this life opened; its death closes it too.</summary>
    internal WorldDescriptor Open(DeviceId device)
    {
        world.Locked(() => _open.Add(device));
        return new(() => world.Locked(() =>
        {
            if (_open.Remove(device)) world.CloseOne(device);
        }));
    }

    private async Task BeforeAsync(WorldFault? fault, WorldCalled called, CancellationToken cancellationToken)
    {
        switch (fault)
        {
            case WorldFault.FailBefore: throw FakeWorld.Fail($"{called.Call} failed");
            case WorldFault.Hang:
                await Never.WaitAsync(cancellationToken);
                break;
            case WorldFault.Slow slow:
                await Task.Delay(slow.For, world.Clock, cancellationToken);
                break;
            case WorldFault.SlowUntil slow:
                await slow.Released.WaitAsync(cancellationToken);
                break;
            case WorldFault.Late late:
                await Task.Delay(late.After, world.Clock, CancellationToken.None);
                break;
            case WorldFault.LateUntil late:
                await late.Released;
                break;
            case WorldFault.Dies dies:
                world.Exit(dies.Machine);
                throw FakeWorld.Fail($"{dies.Machine} does not answer: its QEMU has ended");
            default:
                cancellationToken.ThrowIfCancellationRequested();
                break;
        }
    }

    private int Count() => world.Locked(() => ++_calls);

    private void IfAlive(Action act) => world.Locked(() =>
    {
        if (!_dead) act();
    });

    private bool IfAlive<T>(Func<T> act, out T? result)
    {
        var (alive, value) = world.Locked(() => _dead ? (false, default) : (true, act()));
        result = value;
        return alive;
    }
}
