using System.CommandLine;
using System.Runtime.InteropServices;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Agent.Link;
using KvmSwitch.Agent.Linux;

namespace KvmSwitch.Agent.Cli;

/// <summary><c>run</c>: keeps the link to the host until it is told to stop.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var state = Root.StateOption();
        var command = new Command("run", "Keep the link to the host: report devices, watch the hotkeys, for ever.") { state };
        command.SetAction((parsed, _) => Root.GuardedAsync(() => RunAsync(new IdentityStore(parsed.GetRequiredValue(state)))));
        return command;
    }

    private static async Task RunAsync(IdentityStore store)
    {
        using var termination = new Termination();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(termination.Token);
        var devices = new DeviceFeed();
        var chords = new ChordWatch();
        var edges = new LinkEdges(devices, chords, new Power(), new StandardError(), TimeProvider.System);
        var loop = new LinkLoop(store, edges, Root.Version, RuntimeInformation.OSDescription);

        var watching = LinuxDevices.WatchAsync(devices, chords.Take, over.Token);
        var linking = loop.RunAsync(over.Token);
        var first = await Task.WhenAny(watching, linking);
        await over.CancelAsync();
        await first;
        await Task.WhenAll(watching, linking);
    }
}
