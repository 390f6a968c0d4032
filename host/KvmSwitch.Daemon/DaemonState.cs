using System.Runtime.CompilerServices;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Control;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon;

/// <summary>All that people and guests may know of the daemon, put together from those who own it, and told anew on every change.</summary>
internal sealed class DaemonState(SwitchConfiguration configuration, Switcher switcher, MachinePark machines, GuestLinks links)
{
    private volatile TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static string Version { get; } = typeof(DaemonState).Assembly.GetName().Version?.ToString(3) ?? "unknown";

    public bool ListensForGuests => !configuration.Daemon.Listen.IsEmpty;

    /// <summary>Something is no longer as it was.</summary>
    public void Changed() =>
        Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    public State Read()
    {
        var snapshot = switcher.Current;
        var state = new State { DaemonVersion = Version };
        state.Devices.AddRange(snapshot.Devices.Select(StateMessages.Of));
        state.Sets.AddRange(configuration.Sets.Select(StateMessages.Of));
        state.Machines.AddRange(configuration.Machines.Select(machine => StateMessages.Of(
            machine, machines[machine.Id].Status, snapshot.Find(machine.Id)!.AgentLive, links.Info(machine.Id))));
        return state;
    }

    /// <summary>The state now, and after every change; equal ones are left out.</summary>
    public async IAsyncEnumerable<State> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        State? last = null;
        while (true)
        {
            var changed = _changed.Task;
            var now = Read();
            if (!now.Equals(last)) yield return now;
            last = now;
            await changed.WaitAsync(cancellationToken);
        }
    }

    /// <summary>What one guest may know: what it holds, and what it may ask for.</summary>
    public GuestState ReadFor(MachineOptions guest)
    {
        var state = new GuestState();
        foreach (var view in switcher.Current.Devices)
        {
            var (here, mayRequest) = (view.Owner == guest.Id, guest.MayRequest.Contains(view.Device.Id));
            if (!here && !mayRequest) continue;
            state.Devices.Add(new GuestState.Types.Device
            {
                Name = view.Device.Id.Value, Label = view.Device.Label, Here = here, MayRequest = mayRequest, Moving = view.Handoff is not null,
            });
        }

        var visible = state.Devices.Select(device => device.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var set in configuration.Sets.Where(set => set.Devices.All(id => visible.Contains(id.Value))))
        {
            var message = new GuestState.Types.Set { Name = set.Id.Value };
            message.Devices.AddRange(set.Devices.Select(id => id.Value));
            state.Sets.Add(message);
        }

        return state;
    }
}
