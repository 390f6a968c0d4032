using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// The relay of one device, which may be several event nodes (keyboard, media keys and mouse of one receiver). It is home, or lent
/// to a machine: grabbed, and its events repeated by clones that live as long as we do, whatever is unplugged meanwhile. If we
/// die, the kernel drops the grabs and the device is the host's. For the loop that reads input; tasks that it returns may
/// be awaited anywhere.
/// </summary>
internal sealed class InputRelay(Device device, RelaySurroundings surroundings) : IDisposable
{
    /// <summary>How long a hand-over waits for keys that are held, before it releases them itself.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private const int Attempts = 5;
    private readonly RelayClones _clones = new(device, surroundings);
    private readonly List<TaskCompletionSource> _returns = [];
    private readonly Dictionary<MachineId, LockLeds> _leds = [];
    private Phase _phase;
    private MachineId _machine;
    private Lending? _lending;
    private bool _isHushed;

    private enum Phase
    {
        Home,
        Settling,
        Lent,
        Returning,
    }

    public Device Device => device;

    /// <summary>Some node of it is plugged in.</summary>
    public bool IsPresent => _clones.IsAnyPresent;

    /// <summary>The machine that it is lent to. Stays while it is unplugged.</summary>
    public MachineId? LentTo => _phase == Phase.Lent ? _machine : null;

    /// <summary>It is lent, but a part of it that has come since is still the host's, as QEMU knows no clone of that.</summary>
    public bool IsPartial => _phase == Phase.Lent && (_clones.HasUnpaired || _clones.Nodes.Any(node => node is { Source: not null, IsForwarding: false }));

    /// <summary>On its way home: the host doesn't hear it for sure yet.</summary>
    public bool IsReturning => _phase == Phase.Returning;

    /// <summary>A physical node of it has come.</summary>
    public void Attach(InputSource source) => _clones.Attach(source, paired: node =>
    {
        if (_phase == Phase.Lent && node.IsOffered) Extend();
    });

    /// <summary>A physical node of it has gone.</summary>
    public void Detach(InputSource source)
    {
        _clones.Detach(source);
        EndHush();
        Proceed();
    }

    /// <summary>The clones of what is plugged in, once they are there. From then on they may be held by QEMU.</summary>
    /// <exception cref="SwitchException">Refused: not plugged in, ambiguous. Failed: no clone can be made.</exception>
    public Task<ImmutableArray<RelayNode>> OfferAsync() => _clones.OfferAsync();

    /// <summary>Returns once a machine has it. QEMU must hold the clones already.</summary>
    /// <exception cref="SwitchException">Refused: not plugged in, or another program has it. Failed: called back meanwhile, or lent to another machine.</exception>
    public Task LendAsync(MachineId machine)
    {
        if (_lending is not null || (_phase == Phase.Lent && _machine != machine))
            return Task.FromException(Problem(Failure.Failed, $"is with '{_machine}' already"));
        _machine = machine;
        _lending = new(new(TaskCreationOptions.RunContinuationsAsynchronously));
        var task = _lending.Done.Task;
        Proceed();
        return task;
    }

    /// <summary>Returns once the host hears it again, and no key is down in the machine. Until it is the host's it is the machine's: it is never nobody's.</summary>
    public Task ReturnAsync()
    {
        EndLending(Problem(Failure.Failed, "was called back before it was handed over"));
        if (_phase == Phase.Settling) _phase = Phase.Home;
        if (_phase == Phase.Lent) BeginReturn();
        if (_phase == Phase.Home) return Task.CompletedTask;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _returns.Add(done);
        return done.Task;
    }

    /// <summary>The leds of a machine's guest, shown while the device is lent to it. Null: not known any more; what is lit stays.</summary>
    public void ShowLeds(MachineId machine, LockLeds? leds)
    {
        if (leds is { } lit) _leds[machine] = lit;
        else _leds.Remove(machine);
        if (_phase == Phase.Lent && _machine == machine) ShowLeds();
    }

    /// <summary>After each reading of one of its nodes.</summary>
    public void Pumped()
    {
        EndHush();
        if (_phase == Phase.Lent && _clones.Nodes.Any(node => node.HasFailed && node.IsForwarding)) Fail();
        if (_phase == Phase.Settling) Proceed();
    }

    /// <summary>A chord stands: its keys are not for the machine.</summary>
    public void Hush()
    {
        if (_phase != Phase.Lent || _isHushed || !HoldsKeyboardKey()) return;
        _isHushed = true;
        foreach (var node in _clones.Nodes) node.Hush();
    }

    /// <summary>The end of all: releases what is down in the clones. Closing the physical nodes gives them back.</summary>
    public void Dispose()
    {
        EndLending(Problem(Failure.Failed, "is no longer served: the daemon ends"));
        foreach (var node in _clones.Nodes) node.Silence();
        foreach (var done in _returns) done.TrySetResult();
        _clones.Dispose();
    }

    private SwitchException Problem(Failure failure, string what) => new(failure, $"{device.Id} {what}");

    private bool HoldsKeyboardKey() => _clones.Nodes.Any(node => node.Source is { Held.HasKeyboardKey: true });

    private void EndHush()
    {
        if (!_isHushed || HoldsKeyboardKey()) return;
        _isHushed = false;
        foreach (var node in _clones.Nodes) node.IsHushed = false;
    }

    /// <summary>Takes a lending as far as it goes now.</summary>
    private void Proceed()
    {
        if (_lending is not { } lending || _phase == Phase.Returning) return;
        if (!_clones.Nodes.Any(node => node is { Source: not null, IsOffered: true }))
        {
            if (_phase == Phase.Settling) _phase = Phase.Home;
            EndLending(Problem(Failure.Refused, "isn't plugged in"));
            return;
        }

        if (_phase == Phase.Home)
        {
            _phase = Phase.Settling;
            lending.Timer ??= surroundings.Work.After(Patience, () =>
            {
                lending.IsUrgent = true;
                if (ReferenceEquals(lending, _lending)) Proceed();
            });
        }

        if (_phase == Phase.Lent || lending.IsUrgent || _clones.Nodes.All(node => node.Source is null or { Held.IsEmpty: true })) Grab(lending);
    }

    private void Grab(Lending lending)
    {
        var worst = LendOutcome.Lent;
        foreach (var node in _clones.Nodes.Where(node => node is { Source: not null, IsOffered: true, IsForwarding: false }))
        {
            var outcome = node.Lend();
            // One that has just gone is reported by its next reading.
            if (outcome is LendOutcome.Busy or LendOutcome.KeyDown) worst = outcome;
        }

        if (worst == LendOutcome.Lent)
        {
            _phase = Phase.Lent;
            foreach (var node in _clones.Nodes) node.BeginForwarding();
            ShowLeds();
            EndLending(null);
            return;
        }

        // All or nothing.
        BeginReturn();
        if (worst == LendOutcome.Busy)
        {
            EndLending(Problem(Failure.Refused, "is held by another program, as a key remapper; end that one, or give it the clone of another device"));
        }
        else if (++lending.Failures == Attempts)
        {
            EndLending(Problem(Failure.Refused, "can't be handed over while keys are being pressed; let go of them and try again"));
        }
    }

    private void ShowLeds()
    {
        if (!_leds.TryGetValue(_machine, out var lit)) return;
        foreach (var node in _clones.Nodes) node.ShowLeds(lit);
    }

    /// <summary>Something of a device that is lent was plugged in again: it goes where the device is.</summary>
    private void Extend()
    {
        if (_lending is not null) return;
        _lending = new(new(TaskCreationOptions.RunContinuationsAsynchronously));
        _ = ReportAsync(_lending.Done.Task);
        Proceed();
    }

    private async Task ReportAsync(Task lending)
    {
        try
        {
            await lending;
        }
        catch (SwitchException e)
        {
            surroundings.Warn(e.Message);
        }
    }

    private void Fail()
    {
        surroundings.Warn($"{device.Id} comes home: the kernel takes no more events for its clone");
        BeginReturn();
    }

    private void BeginReturn()
    {
        _phase = Phase.Returning;
        var grabbed = _clones.Nodes.Select(node => node.BeginLettingGo()).OfType<GrabbedNode>().ToImmutableArray();
        surroundings.Work.Aside(grabbed.Select(LettingGo), EndReturn);
    }

    private static Func<Task> LettingGo(GrabbedNode node) => () =>
    {
        node.LetGo();
        return Task.CompletedTask;
    };

    private void EndReturn(Exception? error)
    {
        foreach (var node in _clones.Nodes.Where(node => node.IsGrabbed).ToArray())
        {
            node.EndLettingGo();
            // Closing a node always gives it back; it is opened anew.
            if (error is not null && node.Source is { } source) surroundings.Reopen(source);
        }

        if (error is not (null or ObjectDisposedException)) surroundings.Warn($"{device.Id} had to be opened anew to give it back: {error.Message}");
        _phase = Phase.Home;
        _isHushed = false;
        foreach (var done in _returns) done.TrySetResult();
        _returns.Clear();
        Proceed();
    }

    private void EndLending(SwitchException? error)
    {
        if (_lending is not { } lending) return;
        _lending = null;
        lending.Timer?.Dispose();
        if (error is null)
        {
            lending.Done.TrySetResult();
        }
        else
        {
            lending.Done.TrySetException(error);
        }
    }

    /// <summary>A hand-over under way.</summary>
    private sealed record Lending(TaskCompletionSource Done)
    {
        public IDisposable? Timer { get; set; }

        public bool IsUrgent { get; set; }

        public int Failures { get; set; }
    }
}
