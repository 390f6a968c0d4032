using System.CommandLine;
using System.Runtime.Versioning;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Session;

namespace KvmSwitch.Agent.Windows.Hotkeys;

/// <summary><c>hotkeys --desktop NAME</c>: the hotkeys of a desktop that has no tray, as that of the logon and lock screen. The service starts it.</summary>
[SupportedOSPlatform("windows")]
internal static class HotkeysCommand
{
    public const string Verb = "hotkeys";
    public const string DesktopOption = "--desktop";

    public static Command Create()
    {
        var desktop = new Option<string>(DesktopOption) { Description = "Desktop of this session's window station.", HelpName = "NAME", Required = true };
        var command = new Command(Verb, "Watch the hotkeys on a desktop without a tray; only the service starts this.") { desktop };
        command.Hidden = true;
        command.SetAction((parsed, cancellationToken) => Root.GuardedAsync(() => RunAsync(parsed.GetRequiredValue(desktop), cancellationToken)));
        return command;
    }

    /// <summary>Returns when the service closes the pipe: the next one starts its own.</summary>
    private static async Task RunAsync(string desktop, CancellationToken stop)
    {
        await using var service = await ServiceConnection.OpenAsync(stop);
        var sending = Task.CompletedTask;
        using var hotkeys = new SessionHotkeys(
            message =>
            {
                // What another program has is told by the tray; here a second word about the same keys would only confuse.
                if (message.Hotkeys is null)
                    sending = SendAsync(service, sending, message, stop);
            },
            desktop);
        while (await service.ReceiveAsync(stop) is { } message)
        {
            if (message.State is { } state)
                hotkeys.Take(state);
        }
    }

    private static async Task SendAsync(ServiceConnection service, Task earlier, ToService message, CancellationToken stop)
    {
        await earlier;
        try
        {
            await service.SendAsync(message, stop);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            // The reader sees the end as well, and with it this program ends.
        }
    }
}
