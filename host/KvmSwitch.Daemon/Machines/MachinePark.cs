using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon.Machines;

/// <summary>All machines of the configuration.</summary>
/// <param name="restarts">For the machines that are started again when they crash.</param>
internal sealed class MachinePark(
    IEnumerable<MachineRuntime> runtimes, IEnumerable<KeyValuePair<MachineId, MachinePower>> powers, IReadOnlyCollection<CrashRestart> restarts)
    : IAsyncDisposable
{
    private readonly ImmutableDictionary<MachineId, MachinePower> _powers = powers.ToImmutableDictionary();

    public ImmutableDictionary<MachineId, MachineRuntime> All { get; } = runtimes.ToImmutableDictionary(runtime => runtime.Id);

    public MachineRuntime this[MachineId id] => All[id];

    /// <exception cref="SwitchException">The machine isn't ours to start and stop.</exception>
    public MachinePower PowerOf(MachineOptions machine) => _powers.TryGetValue(machine.Id, out var power)
        ? power
        : throw new SwitchException(
            Failure.Refused,
            $"{machine.Id} is an external machine: whoever started its QEMU starts and stops it; switching devices works all the same");

    /// <summary>Finds every QEMU that already runs: those that we started before our own restart, and external ones.</summary>
    /// <returns>The machines that run.</returns>
    public async Task<IReadOnlyCollection<MachineId>> AdoptAsync(CancellationToken cancellationToken)
    {
        var found = await Task.WhenAll(All.Values.Select(async runtime => (runtime.Id, Runs: await runtime.AdoptAsync(cancellationToken))));
        return [.. found.Where(machine => machine.Runs).Select(machine => machine.Id)];
    }

    /// <summary>
    /// Keeps looking for machines that others start, and for ours that did not answer when they should have been adopted, and starts those
    /// again that crash and should run, until cancelled.
    /// </summary>
    public Task AttendAsync(CancellationToken cancellationToken) => Task.WhenAll(
    [
        .. All.Values.Select(runtime => runtime.AwaitOthersAsync(cancellationToken)),
        .. restarts.Select(restart => restart.RunAsync(cancellationToken)),
        Task.Delay(Timeout.Infinite, cancellationToken),
    ]);

    public async ValueTask DisposeAsync()
    {
        foreach (var power in _powers.Values) power.Dispose();
        foreach (var runtime in All.Values) await runtime.DisposeAsync();
    }
}
