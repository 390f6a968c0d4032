using System.Runtime.InteropServices;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Link;

/// <summary>The agent at work: the system is watched and the link is kept, until told to stop.</summary>
internal static class AgentRun
{
    /// <exception cref="AgentException">The state directory can't be used.</exception>
    /// <exception cref="IOException">The system does not let us watch.</exception>
    public static async Task RunAsync(IdentityStore store, IGuestSystem system, IJournal journal, string version, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var edges = new LinkEdges(system.Devices, system.Hotkeys, system.Power, journal, TimeProvider.System);
        var loop = new LinkLoop(store, edges, version, RuntimeInformation.OSDescription);

        var watching = system.WatchAsync(over.Token);
        var linking = loop.RunAsync(over.Token);
        var pairing = new AutoPairing(new(Platform.Keys, store), store, Platform.Offers(), system.Devices, journal, TimeProvider.System).RunAsync(over.Token);
        var first = await Task.WhenAny(watching, linking, pairing);
        await over.CancelAsync();
        await first;
        await Task.WhenAll(watching, linking, pairing);
    }
}
