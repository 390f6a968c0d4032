using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace KvmSwitch.Daemon.Guests;

/// <summary>Where guests reach the daemon, and what keeps it apart from the Unix socket of the same server.</summary>
internal static class GuestEndpoint
{
    private const int MaxMessageLength = 64 * 1024;

    // linux/in.h, linux/in6.h
    private const int IpLevel = 0, IpFreeBind = 15, Ip6Level = 41, Ip6FreeBind = 78;

    public static IServiceCollection AddGuestService(this IServiceCollection services)
    {
        services.AddGrpc().AddServiceOptions<GuestService>(o =>
        {
            o.MaxReceiveMessageSize = MaxMessageLength;
            o.MaxSendMessageSize = MaxMessageLength;
            o.ResponseCompressionAlgorithm = null;
            o.EnableDetailedErrors = false;
        });
        // They log lines for each call, so any peer could fill the log.
        services.AddLogging(log => log.AddFilter("Microsoft.AspNetCore", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning));
        return services.AddSingleton<GuestService>();
    }

    /// <summary>Listens for guests on these addresses and no others: TLS 1.2 or newer, HTTP/2 only.</summary>
    public static void ListenForGuests(this IWebHostBuilder host, IReadOnlyList<IPEndPoint> endpoints, CertificateAuthority authority)
    {
        host.UseKestrelHttpsConfiguration();
        host.ConfigureServices(services => services.Configure<SocketTransportOptions>(o => o.CreateBoundListenSocket = Bind));
        host.ConfigureKestrel(options =>
        {
            Limit(options.Limits);
            options.AddServerHeader = false;
            // One for all addresses, so that the limits hold for all together.
            var connections = new GuestConnections(options.ApplicationServices.GetRequiredService<TimeProvider>());
            foreach (var endpoint in endpoints) options.Listen(endpoint, listen => Configure(listen, connections, authority));
        });
    }

    public static void MapGuestService(this IEndpointRouteBuilder routes) =>
        Guard(routes.MapGrpcService<GuestService>(), context => context.Features.Get<GuestConnection>() is not null);

    /// <summary>Answers as if the service weren't there, except on a Unix socket.</summary>
    public static TBuilder OnlyOverUnixSocket<TBuilder>(this TBuilder service)
        where TBuilder : IEndpointConventionBuilder =>
        Guard(service, context => context.Features.Get<IConnectionSocketFeature>()?.Socket.AddressFamily == AddressFamily.Unix);

    private static TBuilder Guard<TBuilder>(TBuilder service, Func<HttpContext, bool> isAllowed)
        where TBuilder : IEndpointConventionBuilder
    {
        service.Add(endpoint =>
        {
            var serve = endpoint.RequestDelegate;
            endpoint.RequestDelegate = context => serve is not null && isAllowed(context) ? serve(context) : AnswerUnimplemented(context);
        });
        return service;
    }

    // https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: a response of headers alone.
    private static Task AnswerUnimplemented(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = "12";
        context.Response.Headers["grpc-message"] = "Service is unimplemented.";
        return Task.CompletedTask;
    }

    // These are the whole server's. They suit the Unix socket too; what doesn't (how many connections) is in GuestConnections.
    private static void Limit(KestrelServerLimits limits)
    {
        limits.MaxRequestHeadersTotalSize = 8 * 1024;
        limits.MaxRequestHeaderCount = 32;
        limits.Http2.MaxStreamsPerConnection = 16;
        limits.Http2.MaxRequestHeaderFieldSize = 4 * 1024;
        limits.Http2.InitialStreamWindowSize = 128 * 1024;
        limits.Http2.InitialConnectionWindowSize = 256 * 1024;
        limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(10);
        limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(5);
    }

    private static void Configure(ListenOptions listen, GuestConnections connections, CertificateAuthority authority)
    {
        listen.Protocols = HttpProtocols.Http2;
        listen.Use(next => context => connections.RunAsync(context, next));
        listen.UseHttps(new HttpsConnectionAdapterOptions
        {
            ServerCertificate = authority.Server,
            ServerCertificateChain = [authority.Certificate],
            SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            HandshakeTimeout = TimeSpan.FromSeconds(5),
            ClientCertificateMode = ClientCertificateMode.AllowCertificate,
            // Judged for each call by GuestTrust, so that an agent is told what is wrong instead of seeing a broken handshake.
            ClientCertificateValidation = static (_, _, _) => true,
            OnAuthenticate = (_, tls) => Harden(tls, authority.Certificate),
        });
    }

    // Without a policy of its own, .NET would go and fetch what a stranger's certificate names as its issuer.
    private static void Harden(SslServerAuthenticationOptions tls, X509Certificate2 authority)
    {
        tls.CertificateChainPolicy = GuestChain.Policy(authority, CertificateAuthority.ClientAuthentication);
        tls.AllowTlsResume = false;
        tls.AllowRenegotiation = false;
    }

    // The bridge, and with it the address, may come up after the daemon.
    private static Socket Bind(EndPoint endpoint)
    {
        if (endpoint is not IPEndPoint address) return SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            var (level, name) = address.AddressFamily == AddressFamily.InterNetworkV6 ? (Ip6Level, Ip6FreeBind) : (IpLevel, IpFreeBind);
            socket.SetRawSocketOption(level, name, BitConverter.GetBytes(1));
            socket.Bind(address);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
