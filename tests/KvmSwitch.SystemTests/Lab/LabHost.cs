using System.Globalization;
using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>
/// The lab that tests/lab/lab.sh has booted: a Linux host (L1) with real USB, kvmswitchd in it, and its guest (L2). Shared by all scenarios of the
/// lab: each begins by having it in order.
/// </summary>
public sealed class LabHost : IAsyncLifetime
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan BootDeadline = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan TierDeadline = TimeSpan.FromHours(1);
    private readonly Dictionary<string, string> _ports = new(StringComparer.Ordinal);
    private QmpClient? _outer;
    private GuestWatch? _host;
    private GuestWatch? _guest;
    private string _guestPid = "";
    private string _configuration = "";
    private string _standard = "";

    public LabShell Shell { get; private set; } = null!;

    public LabHardware Hardware { get; private set; } = null!;

    /// <summary>Keys and devices as the host sees them; a key's <c>device</c> is the port.</summary>
    public GuestWatch HostSide => _host!;

    /// <summary>Keys and devices as the guest sees them.</summary>
    public GuestWatch GuestSide => _guest!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var root = Checkout();
        var directory = new FileInfo(Path.Combine(root, "artifacts/lab/run")).LinkTarget;
        if (directory is null || !File.Exists(Path.Combine(directory, "port")))
            throw new InvalidOperationException("no lab runs: 'tests/run.sh lab' starts one, and so does 'tests/lab/lab.sh up'");
        Shell = new(int.Parse((await File.ReadAllTextAsync(Path.Combine(directory, "port"), Stop)).Trim(), CultureInfo.InvariantCulture));
        _outer = await QmpClient.ConnectAsync(Path.Combine(directory, "qmp.sock"), cancellationToken: Stop);
        Hardware = new(_outer, Path.Combine(root, "tests/lab/hardware"), directory);
        await Hardware.PlugAllAsync(Stop);
        _standard = await File.ReadAllTextAsync(Path.Combine(root, "tests/lab/kvmswitch.toml.in"), Stop);
        if ((await Shell.TryRunAsync("kvmswitch vm list | grep -q running", Stop)).ExitCode != 0) await Shell.RunAsync("lab-guest", Stop, BootDeadline);
        _host = GuestWatch.Over(await Shell.StreamAsync("exec kvmswitch-agent watch", TierDeadline, Stop));
        await _host.WaitForAsync(entry => (string?)entry["event"] == "ready", Patience, Stop);
    }

    /// <summary>Everything is plugged in, daemon and guest run, the agent is live, every device is home with its drivers; whatever the scenario before has left.</summary>
    public async Task SettleAsync()
    {
        if (Shell.IsSilent) throw new InvalidOperationException("the lab's host broke down in an earlier scenario");
        await Hardware.PlugAllAsync(Stop);
        if (_configuration != _standard) await ConfigureAsync(_standard);
        var pid = await Shell.RunAsync("lab-settle", Stop, BootDeadline);
        if (pid == _guestPid) return;
        if (_guest is not null) await _guest.DisposeAsync();
        _guest = GuestWatch.Over(await Shell.StreamAsync("exec socat - UNIX-CONNECT:/run/kvmswitch/machines/win/watch.sock", TierDeadline, Stop));
        _guestPid = pid;
    }

    /// <summary>Has the daemon run with another configuration until the next scenario begins.</summary>
    /// <param name="edit">Changes tests/lab/kvmswitch.toml.in.</param>
    public Task ConfigureAsync(Func<string, string> edit) => ConfigureAsync(edit(_standard));

    /// <summary>Runs <c>kvmswitch</c>, whatever it ends with.</summary>
    public Task<ProcessResult> TryRunAsync(params string[] arguments) => Shell.TryRunAsync($"kvmswitch {string.Join(' ', arguments)}", Stop);

    /// <summary>Runs <c>kvmswitch … --json</c>.</summary>
    /// <exception cref="LabCommandFailedException">It did not end with 0.</exception>
    public async Task<JsonNode> RunAsync(params string[] arguments)
    {
        var output = await Shell.RunAsync($"kvmswitch {string.Join(' ', arguments)} --json", Stop);
        return JsonNode.Parse(output.StartsWith("{\n", StringComparison.Ordinal) ? output : output.Split('\n')[^1])!;
    }

    /// <summary>Waits until a device was seen at a place: <c>host</c>, a machine, <c>absent</c>.</summary>
    public Task WaitForPlacementAsync(string device, string placement) =>
        WaitForStateAsync($"{device} was {placement}", state => SharedDemo.PlacementIn(state, device) == placement);

    /// <summary>Waits until the guest's agent is live, or isn't any more.</summary>
    public Task WaitForAgentAsync(bool live) =>
        WaitForStateAsync($"agent_live was {live}", state => (bool?)state["machines"]![0]!["agent_live"] == live);

    /// <summary>Waits until the daemon's state is as told.</summary>
    /// <param name="what">The end of a sentence, for the failure.</param>
    public async Task WaitForStateAsync(string what, Func<JsonNode, bool> isSo)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        late.CancelAfter(2 * Patience);
        var last = "nothing was told";
        try
        {
            await using var stream = await Shell.StreamAsync("exec kvmswitch status --watch --json", Patience, late.Token);
            using var lines = new StreamReader(stream);
            while (await lines.ReadLineAsync(late.Token) is { } line)
            {
                if (!line.StartsWith('{')) continue;
                last = line;
                if (isSo(JsonNode.Parse(line)!)) return;
            }
        }
        catch (OperationCanceledException silence) when (!Stop.IsCancellationRequested)
        {
            throw new TimeoutException($"the lab's host fell silent before {what}; at last: {last}", silence);
        }

        throw new TimeoutException($"waited in vain until {what}; at last: {last}");
    }

    /// <summary>The name in the host of a controller's port.</summary>
    /// <param name="place">As <c>desk:4.1</c>, see tests/lab/l1/lab-configure.</param>
    public async Task<string> PortAsync(string place)
    {
        if (!_ports.TryGetValue(place, out var port))
            _ports[place] = port = await Shell.RunAsync("lab-configure", Stop, input: $"{{{place}}}\n");
        return port;
    }

    /// <summary>The drivers of a device's interfaces in the host, each once; a dash for none.</summary>
    public async Task<string> DriversAsync(string place) => await Shell.RunAsync(
        $"for i in /sys/bus/usb/devices/{await PortAsync(place)}:*; do basename \"$(readlink $i/driver || echo -)\"; done | sort -u", Stop);

    /// <summary>Presses a key on a keyboard that came to one side at or after a position, and returns once that side has heard it.</summary>
    /// <returns>What was heard.</returns>
    public async Task<JsonObject> TypeAsync(string keyboard, string key, GuestWatch side, int code, int from)
    {
        var serial = Hardware.SerialOf(keyboard);
        await side.WaitForKeyboardAsync(from, Patience, Stop, entry => (string?)entry["serial"] == serial);
        await Hardware.PressAsync(keyboard, key, Stop);
        return await side.KeyAsync(code, from);
    }

    /// <summary>Kills the daemon (SIGKILL), and returns once it is dead. Nobody starts it again.</summary>
    public Task KillDaemonAsync() =>
        Shell.RunAsync("systemctl kill --signal=KILL kvmswitchd; timeout 30 sh -c 'while systemctl is-active -q kvmswitchd; do sleep 0.1; done'", Stop);

    /// <summary>Stops QEMU's process (SIGSTOP) for as long as something is done.</summary>
    public async Task WhileQemuHangsAsync(Func<Task> act)
    {
        await Shell.RunAsync("kill -STOP $(cat /run/kvmswitch/machines/win/qemu.pid)", Stop);
        try
        {
            await act();
        }
        finally
        {
            await Shell.RunAsync("kill -CONT $(cat /run/kvmswitch/machines/win/qemu.pid)", Stop);
        }
    }

    /// <summary>Stops the guest's processors, but not QEMU, for as long as something is done.</summary>
    public async Task WhileGuestIsPausedAsync(Func<Task> act)
    {
        await QmpAsync("stop");
        try
        {
            await act();
        }
        finally
        {
            await QmpAsync("cont");
        }
    }

    /// <summary>Sends a command to the guest's shell, and doesn't wait for it.</summary>
    public Task TypeInGuestAsync(string command) => Shell.RunAsync(
        "timeout 10 socat -t 1 - UNIX-CONNECT:/run/kvmswitch/machines/win/console.sock >/dev/null", Stop, input: $"\n{command}\n");

    /// <summary>What the guest's QEMU returns to a command.</summary>
    /// <exception cref="InvalidOperationException">It refused.</exception>
    public async Task<string> QmpAsync(string command, string arguments = "{}")
    {
        var said = await Shell.RunAsync(
            "exec timeout 30 socat -t 5 - UNIX-CONNECT:/run/kvmswitch/machines/win/tools.sock", Stop,
            input: $"{{\"execute\":\"qmp_capabilities\"}}\n{{\"execute\":\"{command}\",\"arguments\":{arguments},\"id\":\"asked\"}}\n");
        var reply = said.Split('\n').Select(line => JsonNode.Parse(line)!).Single(line => (string?)line["id"] == "asked");
        return reply["return"]?.ToJsonString() ?? throw new InvalidOperationException($"QEMU refused {command}: {reply}");
    }

    public async ValueTask DisposeAsync()
    {
        if (_guest is not null) await _guest.DisposeAsync();
        if (_host is not null) await _host.DisposeAsync();
        if (_outer is not null) await _outer.DisposeAsync();
    }

    private static string Checkout()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "KvmSwitch.sln"))) folder = folder.Parent;
        return folder?.FullName ?? throw new DirectoryNotFoundException("not in a checkout of the project");
    }

    private async Task ConfigureAsync(string text)
    {
        await Shell.RunAsync("lab-configure > /etc/kvmswitch/kvmswitch.toml && systemctl restart kvmswitchd && lab-settle", Stop, BootDeadline, text);
        _configuration = text;
    }
}

/// <summary>The scenarios of the lab run one after the other, on one lab.</summary>
[CollectionDefinition(nameof(LabTier))]
public sealed class LabTier : ICollectionFixture<LabHost>;
