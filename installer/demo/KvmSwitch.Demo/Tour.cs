using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;
using Spectre.Console;

namespace KvmSwitch.Demo;

/// <summary>The main job, once around, on real programs and a real guest: a line for each step, and a table at the end.</summary>
internal static class Tour
{
    public static async Task RunAsync(DemoInputs inputs, bool stay, CancellationToken cancellation)
    {
        var host = await DemoHost.CreateAsync(inputs, cancellation);
        var left = false;
        try
        {
            await StepAsync("start the daemon", async () => await host.StartDaemonAsync(cancellation));
            var guest = await StepAsync("kvmswitch vm start demo, and boot the guest's kernel", () => DemoGuest.BootAsync(host, cancellation));
            await using var lent = guest;
            await OnGuestAsync(inputs, host, guest, stay, cancellation);
            left = stay;
        }
        finally
        {
            if (!left) await host.DisposeAsync();
        }
    }

    private static async Task OnGuestAsync(DemoInputs inputs, DemoHost host, DemoGuest guest, bool stay, CancellationToken cancellation)
    {
        try
        {
            await StepAsync("kvmswitch guest pair demo, and join in the guest", () => guest.PairAsync(cancellation));
            await GiveAndReturnAsync(host, guest, cancellation);
            await FreezeAsync(host, guest, cancellation);
            await ShowHistoryAsync(host, cancellation);
            if (stay) ShowHowToGoOn(inputs, host);
            else await StepAsync("kvmswitch vm stop demo", () => host.RunAsync(cancellation, "vm", "stop", "demo"));
        }
        catch (Exception failure) when (failure is CommandFailedException or TimeoutException)
        {
            await Console.Error.WriteLineAsync($"What the daemon logged:\n{host.ReadLog()}");
            var agent = await guest.Console.TryRunAsync("cat /run/agent.log", TimeSpan.FromSeconds(10), CancellationToken.None);
            await Console.Error.WriteLineAsync($"What the agent logged:\n{agent.Output}");
            throw;
        }
    }

    private static async Task GiveAndReturnAsync(DemoHost host, DemoGuest guest, CancellationToken cancellation)
    {
        var given = guest.Watch.Sightings.Count;
        await StepAsync("kvmswitch give desk: the guest's agent has seen keyboard and mouse", () => host.RunAsync(cancellation, "give", "desk"));
        await StepAsync(
            "type k, v, m on that keyboard: the agent reports each",
            () => guest.TypeAsync([("k", 37), ("v", 47), ("m", 50)], given, cancellation));
        await StepAsync("press Ctrl+Alt+Shift+H in the guest: the set is home", async () =>
        {
            await guest.PressReturnHotkeyAsync();
            await WaitUntilHomeAsync(host, ["keyboard", "mouse"], cancellation);
        });
    }

    private static async Task FreezeAsync(DemoHost host, DemoGuest guest, CancellationToken cancellation)
    {
        await StepAsync("kvmswitch give desk, once more", () => host.RunAsync(cancellation, "give", "desk"));
        await StepAsync("freeze the guest: its lease runs out, the set is home", async () =>
        {
            await guest.Qmp.StopAsync(cancellation);
            await WaitUntilHomeAsync(host, ["keyboard", "mouse"], cancellation);
        });
        await StepAsync("let the guest run again: its agent is back", async () =>
        {
            await guest.Qmp.ContAsync(cancellation);
            await guest.WaitUntilLiveAsync(cancellation);
        });
    }

    private static Task<JsonNode> WaitUntilHomeAsync(DemoHost host, string[] devices, CancellationToken cancellation) => host.WaitForStateAsync(
        state => state["devices"]!.AsArray().Where(device => devices.Contains((string?)device!["name"]))
            .All(device => (string?)device!["placement"] == "host"),
        "the devices are home", cancellation);

    private static Task<bool> StepAsync(string what, Func<Task> act) => StepAsync(what, async () =>
    {
        await act();
        return true;
    });

    private static async Task<T> StepAsync<T>(string what, Func<Task<T>> act)
    {
        if (!Console.IsOutputRedirected) AnsiConsole.Markup($"[grey]   …  [/] {Markup.Escape(what)}\r");
        var started = Stopwatch.GetTimestamp();
        var result = await act();
        var time = Stopwatch.GetElapsedTime(started).TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture);
        AnsiConsole.MarkupLine($"[green]{time,6} ms[/] {Markup.Escape(what)}");
        return result;
    }

    private static async Task ShowHistoryAsync(DemoHost host, CancellationToken cancellation)
    {
        var history = await host.RunAsync(cancellation, "history");
        var table = new Table { Title = new("Handoffs, as 'kvmswitch history' tells them") };
        table.AddColumns("gesture", "devices", "from", "to", "outcome", "time");
        foreach (var handoff in history["handoffs"]!.AsArray())
        {
            table.AddRow(
                Text(handoff!, "gesture"), List(handoff!, "devices"), List(handoff!, "from"), Text(handoff!, "to"), Text(handoff!, "outcome"),
                $"{handoff!["duration_ms"]!.GetValue<double>():0.0} ms");
        }

        AnsiConsole.WriteLine();
        AnsiConsole.Write(table);
    }

    private static string Text(JsonNode handoff, string key) => Markup.Escape(handoff[key]!.GetValue<string>());

    private static string List(JsonNode handoff, string key) =>
        Markup.Escape(string.Join(", ", handoff[key]!.AsArray().Select(entry => entry!.GetValue<string>()).Distinct()));

    private static void ShowHowToGoOn(DemoInputs inputs, DemoHost host)
    {
        var pid = host.Leave();
        Console.WriteLine(
            $"""

            The daemon (process {pid}) and the guest go on. Try:

              export KVMSWITCH_SOCKET={host.Socket} PATH={inputs.Programs}:$PATH
              kvmswitch status
              kvmswitch give desk
              kvmswitch take --all
              kvmswitch history

            To end both:

              kvmswitch vm stop demo; kill {pid}; rm -r {host.Directory}
            """);
    }
}
