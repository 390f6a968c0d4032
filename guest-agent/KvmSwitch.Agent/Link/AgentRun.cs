using System.Runtime.InteropServices;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Link;

/// <summary>The agent at work: the system is watched and the link is kept, until told to stop.</summary>
internal sealed class AgentRun(IdentityStore store, IGuestSystem system, IJournal journal, string version, ILinkListener? listener = null)
{
    private readonly LinkLoop loop = new(
        store,
        new(system.Devices, system.Hotkeys, system.Power, journal, TimeProvider.System) { Ejector = system.Ejector, Listener = listener },
        version,
        RuntimeInformation.OSDescription);

    /// <summary>For what is told and asked beside devices.</summary>
    public HostDialogue Dialogue => loop.Dialogue;

    /// <exception cref="AgentException">The state directory can't be used.</exception>
    /// <exception cref="IOException">The system does not let us watch.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var watching = system.WatchAsync(over.Token);
        var linking = loop.RunAsync(over.Token);
        var offers = Platform.Offers();
        using var drives = offers as IDisposable;
        var pairing = new AutoPairing(new(Platform.Keys, store), store, offers, system.Devices, journal, TimeProvider.System).RunAsync(over.Token);
        var first = await Task.WhenAny(watching, linking, pairing);
        await over.CancelAsync();
        await first;
        await Task.WhenAll(watching, linking, pairing);
    }
}
