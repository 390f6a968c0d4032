using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>
/// Who acts on what agents say. Sessions count up: what carries an older session than the newest connected one of that machine is void.
/// The calls return at once and don't throw.
/// </summary>
internal interface IGuestListener
{
    /// <summary>An agent said hello; a heartbeat follows at once.</summary>
    void AgentConnected(MachineId machine, long session);

    void Heartbeat(MachineId machine, long session);

    /// <summary>The link ended, for whatever reason; exactly once for each session that connected.</summary>
    void AgentGone(MachineId machine, long session);

    /// <summary>
    /// Does what the guest asks for, within what the configuration lets it. Checks the targets: they are only bounded in size here.
    /// The token is the daemon's end and not the link's: a device on its way home is not turned back because its guest went away.
    /// </summary>
    /// <param name="gesture"><c>hotkey</c>, <c>tray</c>, <c>cli</c> or <c>agent</c>.</param>
    /// <exception cref="SwitchException">Its message is the answer to the guest.</exception>
    Task HandleRequestAsync(MachineId machine, GuestAction action, string gesture, CancellationToken cancellationToken);
}
