using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Proto.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Guests;

/// <summary>The guests' side of the daemon, for real: Kestrel with TLS on the loopback, and Control on a Unix socket beside it.</summary>
internal sealed class GuestHost : IAsyncDisposable
{
    public static readonly MachineId Win = MachineId.Parse("win");
    public static readonly MachineId Mac = MachineId.Parse("mac");
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(2);

    private static readonly RSA AgentKey = RSA.Create(2048);

    private static readonly Lazy<Task<Dictionary<string, byte[]>>> Certificates = new(MakeCertificatesAsync);

    private readonly DirectoryInfo state;
    private readonly WebApplication app;

    private GuestHost(DirectoryInfo state, CertificateAuthority authority, GuestRegister register)
    {
        this.state = state;
        Authority = authority;
        Register = register;
        Links = new(Time);
        Desk = new(authority.Fingerprint, () => [Endpoint.ToString()], Time);
        Trust = new(authority, register, Desk, Links, Configured.Contains, Time);
        app = Build();
    }

    public JumpyTime Time { get; } = new();

    public CertificateAuthority Authority { get; }

    public GuestRegister Register { get; }

    public GuestLinks Links { get; }

    public PairingDesk Desk { get; }

    public GuestTrust Trust { get; }

    public HashSet<MachineId> Configured { get; } = [Win, Mac];

    public RecordingListener Listener { get; } = new();

    public RecordingLog Log { get; } = new();

    public string ControlSocket => Path.Combine(state.FullName, "control.sock");

    public IPEndPoint Endpoint { get; private set; } = new(IPAddress.Loopback, 0);

    /// <param name="ofItsOwn">With an authority that no other host here has; making one takes a second.</param>
    public static async Task<GuestHost> StartAsync(bool ofItsOwn = false)
    {
        var directory = Directory.CreateTempSubdirectory("kvmswitch-guests-");
        if (!ofItsOwn)
        {
            foreach (var (name, content) in await Certificates.Value) await File.WriteAllBytesAsync(Path.Combine(directory.FullName, name), content);
        }

        var authority = await CertificateAuthority.OpenAsync(directory.FullName, TimeProvider.System, default);
        var host = new GuestHost(directory, authority, await GuestRegister.OpenAsync(directory.FullName, default));
        await host.app.StartAsync();
        var addresses = host.app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;
        host.Endpoint = new(IPAddress.Loopback, new Uri(addresses.Single(a => a.StartsWith("https", StringComparison.Ordinal))).Port);
        return host;
    }

    /// <summary>A channel as an agent has it, that trusts this host alone.</summary>
    public GrpcChannel Connect(X509Certificate2? certificate = null)
    {
        var handler = new SocketsHttpHandler
        {
            SslOptions = new()
            {
                // The name is the address here, as it is for agents; who issued the certificate is what counts.
                RemoteCertificateValidationCallback = (_, _, _, errors) => (errors | SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.RemoteCertificateNameMismatch,
                CertificateChainPolicy = GuestChain.Policy(Authority.Certificate, CertificateAuthority.ServerAuthentication),
                ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
            },
        };
        return GrpcChannel.ForAddress($"https://{Endpoint}", new() { HttpHandler = handler, DisposeHttpClient = true });
    }

    public GrpcChannel ConnectSocket()
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(ControlSocket), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        return GrpcChannel.ForAddress("http://localhost", new() { HttpHandler = handler, DisposeHttpClient = true });
    }

    public PairingTicket Ticket(MachineId machine, TimeSpan? lifetime = null) =>
        ReadTicket(Desk.CreateTicket(machine, lifetime ?? PairingDesk.DefaultLifetime).Code);

    public static PairingTicket ReadTicket(string code) =>
        PairingTicket.Parser.ParseFrom(System.Buffers.Text.Base64Url.DecodeFromChars(code.AsSpan(PairingDesk.Prefix.Length)));

    public static byte[] Request(RSA key, string name = "anything") =>
        new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequest();

    public async Task<EnrolReply> EnrolAsync(ByteString token, byte[]? request = null, string hostName = "DESKTOP-1")
    {
        using var channel = Connect();
        return await new Guest.GuestClient(channel).EnrolAsync(
            new() { Token = token, CertificateRequest = ByteString.CopyFrom(request ?? Request(AgentKey)), HostName = hostName });
    }

    /// <summary>The certificate of a newly paired guest, with its key.</summary>
    public async Task<X509Certificate2> PairAsync(MachineId machine)
    {
        var reply = await EnrolAsync(Ticket(machine).Token, Request(AgentKey));
        using var bare = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        return bare.CopyWithPrivateKey(AgentKey);
    }

    public async Task<TestAgent> LinkAsync(X509Certificate2 certificate, Hello? hello = null)
    {
        var agent = new TestAgent(Connect(certificate));
        await agent.SendAsync(new() { Hello = hello ?? TestAgent.DefaultHello() });
        await agent.NextAsync(HostMessage.MessageOneofCase.Welcome);
        return agent;
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
        Authority.Dispose();
        Register.Dispose();
        state.Delete(recursive: true);
        Assert.DoesNotContain(Log.Lines, l => l.Level >= LogLevel.Error && !Log.Expected.Contains(l.Event.Id));
    }

    private static async Task<Dictionary<string, byte[]>> MakeCertificatesAsync()
    {
        var directory = Directory.CreateTempSubdirectory("kvmswitch-guests-");
        using (await CertificateAuthority.OpenAsync(directory.FullName, TimeProvider.System, default))
        {
        }

        var files = directory.GetFiles().ToDictionary(f => f.Name, f => File.ReadAllBytes(f.FullName));
        directory.Delete(recursive: true);
        return files;
    }

    private WebApplication Build()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(Log).AddFilter("KvmSwitch", LogLevel.Debug);
        builder.WebHost.ListenForGuests([Endpoint], Authority);
        builder.WebHost.ConfigureKestrel(o => o.ListenUnixSocket(ControlSocket, l => l.Protocols = HttpProtocols.Http2));
        builder.Services.AddGuestService();
        builder.Services.AddSingleton<TimeProvider>(Time).AddSingleton(Trust).AddSingleton(Links).AddSingleton<IGuestListener>(Listener);
        builder.Services.AddSingleton(new GuestLinkSettings(TimeSpan.FromMilliseconds(500), Lease, "1.0"));
        var built = builder.Build();
        built.MapGuestService();
        built.MapGrpcService<FakeControl>().OnlyOverUnixSocket();
        return built;
    }

    private sealed class FakeControl : Control.ControlBase
    {
        public override Task<State> GetState(GetStateRequest request, ServerCallContext context) =>
            Task.FromResult(new State { DaemonVersion = "fake" });
    }
}

/// <summary>Its clock on the wall can be set apart from the time that passes.</summary>
internal sealed class JumpyTime() : FakeTimeProvider(DateTimeOffset.UtcNow)
{
    public TimeSpan Jump { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Jump;

    public override long GetTimestamp() => base.GetUtcNow().Ticks;
}

/// <summary>Notes what the link tells, and lets a test decide how requests end.</summary>
internal sealed class RecordingListener : IGuestListener
{
    private readonly Channel<string> events = Channel.CreateUnbounded<string>();

    public Func<GuestAction, Task> OnRequest { get; set; } = _ => Task.CompletedTask;

    public void AgentConnected(MachineId machine, long session) => events.Writer.TryWrite($"connected {machine} {session}");

    public void Heartbeat(MachineId machine, long session) => events.Writer.TryWrite($"heartbeat {machine} {session}");

    public void AgentGone(MachineId machine, long session) => events.Writer.TryWrite($"gone {machine} {session}");

    public Task HandleRequestAsync(MachineId machine, GuestAction action, string gesture, CancellationToken cancellationToken)
    {
        events.Writer.TryWrite($"request {machine} {action.Verb} {string.Join('+', action.Targets)} {gesture}");
        return OnRequest(action);
    }

    public async Task<string> NextAsync() => await events.Reader.ReadAsync().AsTask().WaitAsync(TestAgent.Patience);

    public async Task WaitForAsync(string expected)
    {
        var seen = new List<string>();
        do seen.Add(await NextAsync());
        while (seen[^1] != expected);
    }
}
