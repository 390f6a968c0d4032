using System.CommandLine;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Linux;

namespace KvmSwitch.Agent.Cli;

/// <summary><c>watch</c>: prints devices and keys as JSON lines. Needs no host.</summary>
internal static class WatchCommand
{
    public static Command Create()
    {
        var command = new Command("watch", "Print devices (USB, plugged-in PCI functions, optical drives) and key presses as JSON lines, for demos and tests.");
        command.SetAction((_, _) => Root.GuardedAsync(RunAsync));
        return command;
    }

    private static async Task RunAsync()
    {
        using var termination = new Termination();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(termination.Token);
        await using var output = Console.OpenStandardOutput();
        var lines = new WatchLines(output, TimeProvider.System);
        lines.Ready();
        var devices = new DeviceFeed();
        var watching = LinuxDevices.WatchAsync(devices, lines.Key, over.Token);
        var printing = PrintAsync(devices, lines, over.Token);
        await await Task.WhenAny(watching, printing);
        await over.CancelAsync();
        await Task.WhenAll(watching, printing);
    }

    private static async Task PrintAsync(DeviceFeed devices, WatchLines lines, CancellationToken cancellationToken)
    {
        try
        {
            var known = DeviceSnapshot.Empty;
            while (true)
            {
                var now = await devices.NextAsync(known, cancellationToken);
                foreach (var change in now.Since(known))
                    lines.Device(change);
                known = now;
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop: the end that this has.
        }
    }
}
