using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Link;

/// <summary>One connection to the daemon at one address. Made anew for each attempt, so that nothing of a failed one lingers.</summary>
internal sealed class HostChannel : IDisposable
{
    /// <summary>How long one address may take to answer.</summary>
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    private readonly HostAddress address;
    private readonly ServerTrust trust;
    private readonly GrpcChannel channel;

    /// <param name="address">Where the daemon listens.</param>
    /// <param name="trust">Decides whether it is our host.</param>
    /// <param name="identity">This guest's certificate with its private key; null before pairing.</param>
    public HostChannel(HostAddress address, ServerTrust trust, X509Certificate2? identity = null)
    {
        this.address = address;
        this.trust = trust;
        var tls = new SslClientAuthenticationOptions
        {
            RemoteCertificateValidationCallback = (_, certificate, chain, _) => trust.Accepts(certificate, chain),
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        };
        // SChannel under Wine sends a certificate only when it comes as a context.
        if (identity is not null)
            tls.ClientCertificateContext = SslStreamCertificateContext.Create(identity, additionalCertificates: null, offline: true);
        channel = GrpcChannel.ForAddress(address.Uri, new()
        {
            HttpHandler = new SocketsHttpHandler { SslOptions = tls, ConnectTimeout = ConnectTimeout, UseProxy = false, Proxy = new NoProxy() },
            DisposeHttpClient = true,
            MaxReceiveMessageSize = 1024 * 1024,
        });
        Client = new(channel);
    }

    public Guest.GuestClient Client { get; }

    /// <summary>What went wrong, for people: the end of a sentence.</summary>
    public string Explain(RpcException failure)
    {
        var cause = failure.Status.DebugException;
        for (var inner = cause; inner is not null; inner = inner.InnerException)
            cause = inner;
        return cause switch
        {
            // Whatever the system makes of our no: SChannel under Wine fails in a way of its own.
            _ when trust.Refusal is { } refusal => $"{address} is not the paired host: {refusal}",
            System.Net.Sockets.SocketException socket => $"{address} does not answer ({socket.SocketErrorCode})",
            TimeoutException or OperationCanceledException => $"{address} does not answer in time",
            not null => $"{address} broke the connection ({cause.Message.TrimEnd('.')})",
            null => $"{address} answered {failure.StatusCode} ({failure.Status.Detail.TrimEnd('.')})",
        };
    }

    public void Dispose() => channel.Dispose();

    /// <summary>The channel looks for a proxy even where none is used, and without one of its own asks Windows to search the network for it.</summary>
    private sealed class NoProxy : IWebProxy
    {
        public ICredentials? Credentials { get; set; }

        public Uri? GetProxy(Uri destination) => null;

        public bool IsBypassed(Uri host) => true;
    }
}
