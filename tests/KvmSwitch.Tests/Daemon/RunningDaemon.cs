using System.Buffers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Daemon;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Control;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Linux;
using KvmSwitch.Proto.V1;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Guests;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>
/// The whole daemon in this process: real files, sockets and TLS; its machines' QEMU are fakes, and its clock stands still unless a test
/// lets time pass, so that no busy computer loses a lease.
/// </summary>
internal sealed class RunningDaemon : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>What is really under way gets so long for each quarter of a second that is said to have passed.</summary>
    public static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    private static readonly RSA AgentKey = RSA.Create(2048);
    private static readonly Lazy<Task<Dictionary<string, byte[]>>> Authority = new(MakeAuthorityAsync);

    private readonly Folder _folder = new();
    private readonly Dictionary<string, string> _sockets = [];
    private readonly string _address = $"127.{Random.Shared.Next(1, 255)}.{Random.Shared.Next(1, 255)}.{Random.Shared.Next(2, 255)}:7843";
    private readonly GrpcChannel _channel;
    private Session? _session;

    private RunningDaemon(params string[] machines)
    {
        foreach (var machine in machines)
        {
            _sockets[machine] = _folder[$"{machine}.sock"];
            Qemus[machine] = FakeQemu.Start(_sockets[machine], Options);
        }

        _channel = Connect();
        Control = new(_channel);
    }

    public FakeTimeProvider Time { get; } = new(DateTimeOffset.UtcNow);

    public RecordingLog Log { get; } = new();

    public Dictionary<string, FakeQemu> Qemus { get; } = [];

    public FakeQemu Qemu => Qemus["win"];

    public Control.ControlClient Control { get; }

    public DaemonPaths Paths => new("(test)", _folder["control.sock"], _folder["run"], _folder["state"]);

    private static FakeQemuOptions Options => new()
    {
        Devices = [new("usb0", "qemu-xhci", []), new("usb1", "qemu-xhci", []), new("rp1", "pcie-root-port", [])],
    };

    private string Configuration => $"""
        [daemon]
        listen = ["{_address}"]
        {string.Concat(_sockets.Select(pair => $"\n[machine.{pair.Key}]\nkind = \"external\"\nqmp = \"{pair.Value}\"\nusb_buses = [\"usb0.0\", \"usb1.0\"]\n"))}
        [device.keyboard]
        route = "virtual"
        driver = "usb-kbd"
        [device.mouse]
        route = "virtual"
        driver = "usb-mouse"
        [device.drive]
        route = "virtual"
        driver = "usb-tablet"
        class = "storage"
        [set.desk]
        devices = ["keyboard", "mouse"]
        [guest.win]
        may_request = ["mouse"]
        [[hotkey]]
        where = "guest"
        chord = "ctrl+alt+shift+h"
        action = "return"
        """;

    /// <summary>A daemon with one machine, whose guest is paired and whose agent is live.</summary>
    public static async Task<(RunningDaemon Daemon, GuestWithEyes Guest)> WithGuestAsync()
    {
        var daemon = await StartAsync();
        return (daemon, await daemon.LinkAsync());
    }

    public static async Task<RunningDaemon> StartAsync(params string[] more)
    {
        var daemon = new RunningDaemon(["win", .. more]);
        await daemon.StartAnewAsync();
        return daemon;
    }

    /// <summary>A daemon with one machine, whose QEMU is a process that can die.</summary>
    public static async Task<(RunningDaemon Daemon, QemuProcess Process)> WithProcessAsync(Folder folder)
    {
        var daemon = new RunningDaemon("win");
        var process = await QemuProcess.StartAsync(folder, daemon.Qemu);
        daemon._sockets["win"] = process.Socket;
        await daemon.StartAnewAsync();
        return (daemon, process);
    }

    private async Task StartAnewAsync()
    {
        Directory.CreateDirectory(Paths.State);
        foreach (var (name, content) in await Authority.Value) await File.WriteAllBytesAsync(Path.Combine(Paths.State, name), content);
        await StartAgainAsync();
    }

    /// <summary>Starts it on the files that are there.</summary>
    public async Task StartAgainAsync()
    {
        using var logs = LoggerFactory.Create(logging => logging.AddProvider(Log).SetMinimumLevel(LogLevel.Debug));
        var composition = await Composition.OpenAsync(ConfigurationFile.Parse(Configuration, "test"), Paths, KernelPaths.Real, Time, logs, CancellationToken.None);
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "kvmswitchd" });
        builder.Logging.AddProvider(Log).AddFilter("KvmSwitch", LogLevel.Debug);
        ControlEndpoint.Claim(Paths.Socket);
        var session = new Session(composition, DaemonHost.Build(builder, composition, Paths, Time));
        session.Run(Paths);
        _session = session;
        await Task.WhenAny(session.Ready, session.Running).WaitAsync(Patience);
        if (!session.Running.IsCompleted) return;
        _session = null;
        await session.DisposeAsync();
    }

    /// <summary>Ends it as SIGTERM does; its machines go on.</summary>
    public async Task StopAsync()
    {
        if (_session is not { } session) return;
        _session = null;
        await session.DisposeAsync();
    }

    public async Task<Handoff> GiveAsync(string target, TimeSpan? limit = null, string machine = "win")
    {
        var request = new GiveRequest { Machine = machine, TimeLimit = limit is { } time ? Duration.FromTimeSpan(time) : null };
        request.Targets.Add(target.Split('+'));
        return await Control.GiveAsync(request).ResponseAsync.WaitAsync(Patience);
    }

    public async Task<Handoff> TakeAsync(params string[] targets)
    {
        var request = new TakeRequest { All = targets.Length == 0 };
        request.Targets.Add(targets);
        return await Control.TakeAsync(request).ResponseAsync.WaitAsync(Patience);
    }

    /// <summary>The failure of a call, and the exit code that a command line ends with.</summary>
    public static async Task<(int Exit, string Message)> RefusedAsync(Func<Task> call)
    {
        var failure = await Assert.ThrowsAsync<RpcException>(call);
        Assert.DoesNotContain("   at ", failure.Status.Detail, StringComparison.Ordinal);
        return (int.Parse(failure.Trailers.Get("kvmswitch-exit")!.Value, System.Globalization.CultureInfo.InvariantCulture), failure.Status.Detail);
    }

    public async Task<Handoff> NewestAsync() => (await HistoryAsync())[0];

    public async Task<IReadOnlyList<Handoff>> HistoryAsync() => (await Control.GetHistoryAsync(new()).ResponseAsync.WaitAsync(Patience)).Handoffs;

    public async Task<State> StateAsync() => await Control.GetStateAsync(new()).ResponseAsync.WaitAsync(Patience);

    /// <summary>Where each device is: <c>name@placement</c>, and a <c>!</c> when something is wrong with it.</summary>
    public async Task<string> PlacesAsync() => Places(await StateAsync());

    /// <summary>Waits until devices are where they should be seen, without letting time pass.</summary>
    public async Task WaitForPlacesAsync(string expected)
    {
        using var late = new CancellationTokenSource(Patience);
        using var watch = Control.WatchState(new(), cancellationToken: late.Token);
        while (await watch.ResponseStream.MoveNext(late.Token))
            if (Places(watch.ResponseStream.Current) == expected) return;
        Assert.Fail("the daemon ended the watch");
    }

    /// <summary>Waits for a state, as <c>kvmswitch status --json</c> tells it, without letting time pass.</summary>
    public async Task<JsonNode> SeesAsync(Func<JsonNode, bool> wanted, string what)
    {
        using var late = new CancellationTokenSource(Patience);
        using var watch = Control.WatchState(new(), cancellationToken: late.Token);
        JsonNode? last = null;
        try
        {
            while (await watch.ResponseStream.MoveNext(late.Token))
            {
                last = Json(watch.ResponseStream.Current);
                if (wanted(last)) return last;
            }
        }
        catch (RpcException end) when (end.StatusCode == StatusCode.Cancelled)
        {
            throw new TimeoutException($"waited in vain until {what}; the last state was {last?.ToJsonString() ?? "never told"}", end);
        }

        throw new InvalidOperationException("the daemon ended the watch");
    }

    /// <summary>
    /// Waits until what is wanted is on the disk. A busy disk takes its time, and would be told to be too slow by a clock that a test moves.
    /// </summary>
    public async Task SavedAsync()
    {
        using var late = new CancellationTokenSource(Patience);
        using var look = new PeriodicTimer(Step);
        var away = (await StateAsync()).Devices.Where(device => device.Owner != "host").Select(device => device.Name).ToArray();
        while (!IsSaved(await File.ReadAllTextAsync(Paths.StateFile, late.Token), away)) await look.WaitForNextTickAsync(late.Token);
    }

    private static bool IsSaved(string text, string[] away) =>
        !text.Contains("pending", StringComparison.Ordinal) && away.All(name => text.Contains($"\"{name}\"", StringComparison.Ordinal));

    /// <summary>Lets time pass, a little at a time, until it is over.</summary>
    public async Task PassTimeUntilAsync(Task task)
    {
        for (var i = 0; i < 480 && !task.IsCompleted; i++)
        {
            Time.Advance(TimeSpan.FromMilliseconds(250));
            await Task.WhenAny(task, Task.Delay(Step, CancellationToken.None));
        }

        await task.WaitAsync(Patience);
    }

    /// <summary>The devices of ours that QEMU itself lists.</summary>
    public string[] Plugged(string machine = "win") =>
        [.. Qemus[machine].Devices.Keys.Where(id => id.StartsWith("kvmswitch-device-", StringComparison.Ordinal)).Select(id => id[17..])];

    /// <summary>Pairs a guest.</summary>
    public async Task<X509Certificate2> PairAsync(string machine = "win")
    {
        var code = await Control.PairGuestAsync(new() { Machine = machine }).ResponseAsync.WaitAsync(Patience);
        using var channel = Secure(null);
        var reply = await new Guest.GuestClient(channel).EnrolAsync(new()
        {
            Token = GuestHost.ReadTicket(code.Code).Token,
            CertificateRequest = ByteString.CopyFrom(GuestHost.Request(AgentKey)),
            HostName = "DESKTOP",
        }).ResponseAsync.WaitAsync(Patience);
        using var bare = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        return bare.CopyWithPrivateKey(AgentKey);
    }

    public async Task<GuestWithEyes> LinkAsync(string machine = "win", X509Certificate2? certificate = null, bool canEject = false)
    {
        var guest = new GuestWithEyes(Secure(certificate ?? await PairAsync(machine)), Qemus[machine]) { CanEject = canEject };
        await guest.GreetAsync();
        await WaitForAgentAsync(machine, live: true);
        return guest;
    }

    public async Task WaitForAgentAsync(string machine, bool live)
    {
        using var late = new CancellationTokenSource(Patience);
        using var watch = Control.WatchState(new(), cancellationToken: late.Token);
        while (await watch.ResponseStream.MoveNext(late.Token))
            if (watch.ResponseStream.Current.Machines.Single(seen => seen.Name == machine).AgentLive == live) return;
        Assert.Fail("the daemon ended the watch");
    }

    public async ValueTask DisposeAsync()
    {
        var stopping = StopAsync();
        await PassTimeUntilAsync(stopping);
        _channel.Dispose();
        foreach (var qemu in Qemus.Values) await qemu.DisposeAsync();
        _folder.Dispose();
        Assert.DoesNotContain(Log.Lines, line => line.Level >= LogLevel.Error && !Log.Expected.Contains(line.Event.Id));
        Log.Dispose();
    }

    private static JsonNode Json(State state)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes)) StateJson.Write(json, state);
        return JsonNode.Parse(bytes.WrittenSpan)!;
    }

    private static string Places(State state) =>
        string.Join(' ', state.Devices.Select(device => $"{device.Name}@{device.Placement}{(device.Trouble.Length > 0 ? "!" : "")}"));

    private static async Task<Dictionary<string, byte[]>> MakeAuthorityAsync()
    {
        using var folder = new Folder();
        using (await CertificateAuthority.OpenAsync(folder.Root, TimeProvider.System, CancellationToken.None))
        {
        }

        return Directory.GetFiles(folder.Root).ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes);
    }

    private GrpcChannel Connect() => GrpcChannel.ForAddress("http://localhost", new()
    {
        HttpHandler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Paths.Socket), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        },
        DisposeHttpClient = true,
    });

    private GrpcChannel Secure(X509Certificate2? certificate) => GrpcChannel.ForAddress($"https://{_address}", new()
    {
        HttpHandler = new SocketsHttpHandler
        {
            SslOptions = new()
            {
                // The name is the address here, as it is for agents; who issued the certificate is what counts.
                RemoteCertificateValidationCallback = (_, _, _, errors) => (errors | SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.RemoteCertificateNameMismatch,
                CertificateChainPolicy = GuestChain.Policy(_session!.Composition.Authority.Certificate, CertificateAuthority.ServerAuthentication),
                ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
            },
        },
        DisposeHttpClient = true,
    });

    private sealed class Session(Composition composition, WebApplication application) : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Composition Composition => composition;

        public Task<int> Running { get; private set; } = Task.FromResult(0);

        public Task Ready => _ready.Task;

        public void Run(DaemonPaths paths)
        {
            application.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStarted.Register(_ready.SetResult);
            Running = DaemonHost.RunAsync(application, composition, paths, _stop.Token);
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            try
            {
                Assert.Equal(0, await Running);
            }
            finally
            {
                await application.DisposeAsync();
                await composition.DisposeAsync();
                _stop.Dispose();
            }
        }
    }
}
