using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using KvmSwitch.Qmp;

namespace KvmSwitch.Demo.Harness;

/// <summary>Where the published programs and the guest image are.</summary>
/// <param name="Programs">As installer/build.sh leaves them.</param>
/// <param name="Guest">As installer/demo/build-guest.sh leaves it.</param>
public sealed record DemoInputs(string Programs, string Guest)
{
    public string Daemon => Path.Combine(Programs, "kvmswitchd");

    public string Cli => Path.Combine(Programs, "kvmswitch");
}

/// <summary>A command of the CLI that failed.</summary>
public sealed class CommandFailedException(string command, ProcessResult result)
    : Exception($"'kvmswitch {command}' ended with {result.ExitCode}: {result.Error.Trim()}")
{
    public ProcessResult Result { get; } = result;
}

/// <summary>
/// A directory with everything that one daemon and its demo guest need, and the real programs run on it: what a user would type is run as
/// the user would type it. Disposing ends daemon and guest, by process id.
/// </summary>
public sealed class DemoHost : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly DemoInputs _inputs;
    private ChildProcess? _daemon;

    private DemoHost(DemoInputs inputs, string directory, int port) => (_inputs, Directory, Port) = (inputs, directory, port);

    public string Directory { get; }

    /// <summary>Where the daemon listens for guests, on the loopback address.</summary>
    public int Port { get; }

    public string Socket => Path.Combine(Directory, "control.sock");

    public string Configuration => Path.Combine(Directory, "kvmswitch.toml");

    public string StateDirectory => Path.Combine(Directory, "state");

    public string DaemonLog => Path.Combine(Directory, "kvmswitchd.log");

    public int? DaemonPid => _daemon?.Id;

    public string RuntimeFile(string name) => Path.Combine(Directory, "run/machines/demo", name);

    /// <summary>Writes configuration and files below the system's temporary directory; nothing runs yet.</summary>
    /// <param name="edit">Changes the configuration's text.</param>
    public static async Task<DemoHost> CreateAsync(DemoInputs inputs, CancellationToken cancellation, Func<string, string>? edit = null)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("kvmswitch-").FullName;
        var host = new DemoHost(inputs, directory, FreePort());
        await host.CopyGuestAsync(cancellation);
        File.CreateSymbolicLink(Path.Combine(directory, "guest-tools"), Path.GetFullPath(inputs.Programs));
        var text = await DemoConfiguration.RenderAsync(directory, host.Port, cancellation);
        await File.WriteAllTextAsync(host.Configuration, edit is null ? text : edit(text), cancellation);
        return host;
    }

    /// <summary>Starts the daemon; returns once it says that it is ready.</summary>
    /// <param name="environment">Variables for it alone.</param>
    /// <returns>How long that took.</returns>
    public async Task<TimeSpan> StartDaemonAsync(CancellationToken cancellation, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var logged = File.Exists(DaemonLog) ? new FileInfo(DaemonLog).Length : 0;
        var started = TimeProvider.System.GetTimestamp();

        // The log is a file, so that the daemon can outlive whoever started it.
        const string Script = "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1";
        _daemon = ChildProcess.Start("/usr/bin/setsid",
        [
            "/bin/sh", "-c", Script, "sh", DaemonLog, _inputs.Daemon, "--config", Configuration, "--socket", Socket,
            "--runtime-directory", Path.Combine(Directory, "run"), "--state-directory", StateDirectory, "--verbose",
        ], environment);
        await Condition.HoldsAsync(
            () => _daemon.HasExited
                ? throw new InvalidOperationException($"the daemon ended at once:\n{ReadLog(logged)}")
                : ReadLog(logged).Contains(" is ready on ", StringComparison.Ordinal),
            "the daemon is ready", Patience, cancellation);
        return TimeProvider.System.GetElapsedTime(started);
    }

    /// <summary>Ends the daemon, politely or not; its guest goes on.</summary>
    public async Task EndDaemonAsync(ProcessSignal signal, CancellationToken cancellation)
    {
        if (_daemon is not { } daemon) return;
        daemon.Send(signal);
        await daemon.WaitForExitAsync(Patience, cancellation);
        await daemon.DisposeAsync();
        _daemon = null;
    }

    /// <summary>Runs <c>kvmswitch</c>, whatever it ends with.</summary>
    public Task<ProcessResult> TryRunAsync(CancellationToken cancellation, params string[] arguments) =>
        ChildProcess.RunAsync(_inputs.Cli, ["--socket", Socket, .. arguments], Patience, cancellation);

    /// <summary>Runs <c>kvmswitch … --json</c>.</summary>
    /// <exception cref="CommandFailedException">It did not end with 0.</exception>
    public async Task<JsonNode> RunAsync(CancellationToken cancellation, params string[] arguments)
    {
        var result = await TryRunAsync(cancellation, [.. arguments, "--json"]);
        if (result.ExitCode != 0) throw new CommandFailedException(string.Join(' ', arguments), result);

        // One indented document, or a line for each step of progress: then the last tells the end.
        var output = result.Output.Trim();
        return JsonNode.Parse(output.StartsWith("{\n", StringComparison.Ordinal) ? output : output.Split('\n')[^1])!;
    }

    public async Task<string> PlacementOfAsync(string device, CancellationToken cancellation)
    {
        var state = await RunAsync(cancellation, "status");
        return state["devices"]!.AsArray().Single(entry => (string?)entry!["name"] == device)!["placement"]!.GetValue<string>();
    }

    /// <summary>Waits until the state, as <c>kvmswitch status --watch</c> streams it, is as wanted.</summary>
    public async Task<JsonNode> WaitForStateAsync(Func<JsonNode, bool> wanted, string what, CancellationToken cancellation, TimeSpan? deadline = null)
    {
        await using var watch = ChildProcess.Start(_inputs.Cli, ["--socket", Socket, "status", "--watch", "--json"]);
        try
        {
            var line = await watch.WaitForLineAsync(
                text => text.StartsWith('{') && wanted(JsonNode.Parse(text)!), deadline ?? Patience, cancellation);
            return JsonNode.Parse(line)!;
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException($"waited in vain until {what}; the last state was {(watch.Lines.Entries is [.., var last] ? last.Text : "never told")}", late);
        }
    }

    /// <summary>A QMP session of our own, beside the daemon's.</summary>
    public Task<QmpClient> ConnectQmpAsync(CancellationToken cancellation) =>
        QmpClient.ConnectAsync(Path.Combine(Directory, "run/machines/demo/tools.sock"), cancellationToken: cancellation);

    /// <summary>What the daemon logged, from a byte offset on.</summary>
    public string ReadLog(long from = 0)
    {
        if (!File.Exists(DaemonLog)) return "";
        using var log = new FileStream(DaemonLog, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        log.Seek(from, SeekOrigin.Begin);
        return new StreamReader(log).ReadToEnd();
    }

    /// <summary>Lets daemon and guest live on.</summary>
    /// <returns>The daemon's process id.</returns>
    public int Leave()
    {
        var pid = _daemon?.Id ?? 0;
        _daemon = null;
        return pid;
    }

    public async ValueTask DisposeAsync()
    {
        var qemu = QemuPid();
        if (_daemon is not null) await _daemon.DisposeAsync();
        if (qemu is { } pid) await ForeignProcess.KillAsync(pid, RuntimeFile("qemu.pid"), Patience);
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    /// <summary>QEMU's process id, as it wrote it down; null when it isn't running.</summary>
    public int? QemuPid() => File.Exists(RuntimeFile("qemu.pid"))
        && int.TryParse(File.ReadAllText(RuntimeFile("qemu.pid")).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
        && ForeignProcess.IsRunning(pid, RuntimeFile("qemu.pid"))
        ? pid
        : null;

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private async Task CopyGuestAsync(CancellationToken cancellation)
    {
        foreach (var name in new[] { "vmlinux", "initrd.img", "cmdline", "state.img" })
            File.Copy(Path.Combine(_inputs.Guest, name), Path.Combine(Directory, name));
        if (!Environment.IsPrivilegedProcess) return;

        // Root's daemon runs QEMU as another user, who has to reach these files.
        File.SetUnixFileMode(Directory, File.GetUnixFileMode(Directory) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        var own = await ChildProcess.RunAsync(
            "/bin/chown", [DemoConfiguration.QemuUser, .. System.IO.Directory.GetFiles(Directory)], Patience, cancellation);
        if (own.ExitCode != 0) throw new IOException($"the guest's files can't be given to {DemoConfiguration.QemuUser}: {own.Error}");
    }
}
