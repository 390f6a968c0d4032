using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Daemon.Routes;
using KvmSwitch.Linux.Input;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon;

/// <summary>
/// Carries what machines and agents tell to those who act on it. Machines and links exist before the Switcher that moves devices between
/// them, so this is where the circle closes.
/// </summary>
internal sealed class Signals : IMachineListener, IGuestListener
{
    private Actors? _actors;

    private Actors Who => _actors ?? throw new InvalidOperationException("Nothing may be signalled before Connect.");

    public void Connect(Switcher switcher, Switchboard switchboard, GuestLinks links, DaemonState state, HostSides sides) =>
        _actors = new(switcher, switchboard, links, state, sides);

    // While machines are adopted there is no Switcher yet, and nothing to tell it: it starts with the list of those that run.
    public void MachineUp(MachineId machine) => _actors?.Switcher.MachineUp(machine);

    public void GuestLost(MachineId machine, string gesture)
    {
        if (_actors is not { } actors) return;
        actors.Switcher.GuestLost(machine, gesture);
        actors.Links.Disconnect(machine, $"the guest is gone ({gesture})");
    }

    public void DevicesChanged(MachineId machine) => _actors?.Switcher.LookAgain();

    public void StatusChanged(MachineId machine) => _actors?.State.Changed();

    public bool IsGivenUp(MachineId machine) =>
        _actors is { } actors && actors.Switcher.Current.Find(machine) is not { AgentLive: true } && !actors.Sides.HasKeyboard;

    public bool WantsLeds => _actors?.Sides.Input is { IsRelaying: true };

    public void LedsChanged(MachineId machine, LockLeds? leds) => _actors?.Sides.Input?.ShowLeds(machine, leds);

    public void AgentConnected(MachineId machine, long session)
    {
        Who.Switcher.AgentConnected(machine, session);
        Who.State.Changed();
    }

    public void Heartbeat(MachineId machine, long session) => Who.Switcher.Heartbeat(machine, session);

    public void AgentGone(MachineId machine, long session)
    {
        Who.Switcher.AgentGone(machine, session);
        Who.State.Changed();
    }

    public Task HandleRequestAsync(MachineId machine, GuestAction action, string gesture, CancellationToken cancellationToken)
    {
        var request = action.Verb switch
        {
            GuestAction.Types.Verb.Return => Who.Switchboard.ReturnFromAsync(machine, action.Targets, gesture),
            GuestAction.Types.Verb.Request => Who.Switchboard.RequestFromAsync(machine, action.Targets, gesture),
            _ => throw new SwitchException(Failure.Refused, "this host is older than the agent and doesn't know that request"),
        };
        return request.WaitAsync(cancellationToken);
    }

    /// <summary>Tells state to those who show it, for as long as the daemon runs.</summary>
    public async Task PublishAsync(SwitchConfiguration configuration, CancellationToken cancellationToken)
    {
        await foreach (var _ in Who.Switcher.WatchAsync(cancellationToken))
        {
            Who.State.Changed();
            foreach (var machine in configuration.Machines) Who.Links.PublishState(machine.Id, Who.State.ReadFor(machine));
        }
    }

    private sealed record Actors(Switcher Switcher, Switchboard Switchboard, GuestLinks Links, DaemonState State, HostSides Sides);
}
