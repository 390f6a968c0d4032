using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Proto.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvmSwitch.Tests.Agent;

/// <summary>The daemon's side of the link: a real Kestrel with mutual TLS, whose answers a test writes.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    private readonly WebApplication app;

    private TestHost(WebApplication app, TestCa ca)
    {
        this.app = app;
        Ca = ca;
    }

    public TestCa Ca { get; }

    public GuestService Service => app.Services.GetRequiredService<GuestService>();

    public int Port => new Uri(app.Urls.Single()).Port;

    public string Address => $"127.0.0.1:{Port}";

    public static async Task<TestHost> StartAsync(TestCa ca, X509Certificate2? certificate = null, int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseHttps(https =>
            {
                https.ServerCertificate = certificate ?? ca.Server();
                https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
                https.ClientCertificateValidation = (client, _, _) => ca.Issued(client);
            });
        }));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(new GuestService(ca));
        var web = builder.Build();
        web.MapGrpcService<GuestService>();
        await web.StartAsync();
        return new(web, ca);
    }

    public string Code(params string[] addresses) => "ksw1-" + System.Buffers.Text.Base64Url.EncodeToString(new PairingTicket
    {
        Addresses = { addresses.Length == 0 ? [Address] : addresses },
        CaFingerprint = ByteString.CopyFrom(Ca.Fingerprint),
        Token = ByteString.CopyFrom(GuestService.Token),
    }.ToByteArray());

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }
}

/// <summary>One link as the host sees it.</summary>
internal sealed class HostLink(GuestService service, ServerCallContext context)
{
    private readonly Channel<AgentMessage> received = Channel.CreateUnbounded<AgentMessage>();
    private readonly TaskCompletionSource over = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public required IServerStreamWriter<HostMessage> Writer { get; init; }

    /// <summary>Whether heartbeats are answered.</summary>
    public volatile bool Answers = true;

    /// <summary>How the agent's stream ended: in good order, or not.</summary>
    public TaskCompletionSource<bool> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Over => over.Task;

    public void Close() => over.TrySetResult();

    public void Cut() => context.GetHttpContext().Abort();

    public async Task ReadAsync(IAsyncStreamReader<AgentMessage> stream)
    {
        try
        {
            while (await stream.MoveNext(context.CancellationToken))
            {
                if (stream.Current.MessageCase == AgentMessage.MessageOneofCase.Heartbeat && Answers)
                    await Writer.WriteAsync(new() { HeartbeatReply = new() { Sequence = stream.Current.Heartbeat.Sequence } });
                received.Writer.TryWrite(stream.Current);
            }

            Ended.TrySetResult(true);
        }
        catch (Exception) when (Ended.TrySetResult(false))
        {
            // The test looks at Ended.
        }

        if (!service.IgnoresGoodbye)
            Close();
    }

    /// <summary>The next message of one kind; others before it are passed over.</summary>
    public async Task<AgentMessage> NextAsync(AgentMessage.MessageOneofCase kind)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (true)
        {
            var message = await received.Reader.ReadAsync(deadline.Token);
            if (message.MessageCase == kind)
                return message;
        }
    }
}

internal sealed class GuestService(TestCa ca) : Guest.GuestBase
{
    public static readonly byte[] Token = [.. Enumerable.Range(1, 16).Select(one => (byte)one)];

    private readonly Channel<HostLink> links = Channel.CreateUnbounded<HostLink>();

    /// <summary>Null lets links in.</summary>
    public Status? Refusal { get; set; }

    public Welcome Welcome { get; set; } = new() { Version = "9", Machine = "win", HeartbeatIntervalMs = 100, LeaseMs = 2000 };

    public byte[]? EnrolledCa { get; set; }

    public Func<byte[], byte[]> Sign { get; set; } = ca.Sign;

    /// <summary>Every pairing code counts as used.</summary>
    public bool Refuses { get; set; }

    /// <summary>Links stay open when the agent has ended its side.</summary>
    public bool IgnoresGoodbye { get; set; }

    public EnrolRequest? Enrolled { get; private set; }

    public int Attempts { get; private set; }

    public async Task<HostLink> NextLinkAsync() => await links.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));

    public override Task<EnrolReply> Enrol(EnrolRequest request, ServerCallContext context)
    {
        if (Refuses || !request.Token.Span.SequenceEqual(Token))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "no such code"));
        Enrolled = request;
        return Task.FromResult(new EnrolReply
        {
            Certificate = ByteString.CopyFrom(Sign(request.CertificateRequest.ToByteArray())),
            CaCertificate = ByteString.CopyFrom(EnrolledCa ?? ca.Certificate),
            Machine = "win",
        });
    }

    public override async Task Link(
        IAsyncStreamReader<AgentMessage> requestStream, IServerStreamWriter<HostMessage> responseStream, ServerCallContext context)
    {
        Attempts++;
        if (context.GetHttpContext().Connection.ClientCertificate is null)
            throw new RpcException(new Status(StatusCode.Unauthenticated, "no certificate"));
        if (Refusal is { } refusal)
            throw new RpcException(refusal);
        var link = new HostLink(this, context) { Writer = responseStream };
        await responseStream.WriteAsync(new() { Welcome = Welcome });
        links.Writer.TryWrite(link);
        var reading = link.ReadAsync(requestStream);
        await link.Over;
        if (Refusal is { } late)
            throw new RpcException(late);
        await Task.WhenAny(reading, Task.CompletedTask);
    }
}
