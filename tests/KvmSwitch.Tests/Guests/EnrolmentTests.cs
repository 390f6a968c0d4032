using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Guests;
using Xunit;

namespace KvmSwitch.Tests.Guests;

public sealed class EnrolmentTests
{
    [Fact]
    public async Task A_code_is_traded_for_a_certificate_of_its_machine()
    {
        await using var host = await GuestHost.StartAsync();
        using var key = RSA.Create(2048);

        var ticket = host.Ticket(GuestHost.Win);
        var reply = await host.EnrolAsync(ticket.Token, GuestHost.Request(key, "host"), hostName: "PC\u001b[31m");

        Assert.Equal("win", reply.Machine);
        Assert.Equal([host.Endpoint.ToString()], ticket.Addresses);
        Assert.Equal(ticket.CaFingerprint, ByteString.CopyFrom(SHA256.HashData(reply.CaCertificate.Span)[..16]));
        using var certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        Assert.Equal("CN=win", certificate.Subject);
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), certificate.PublicKey.ExportSubjectPublicKeyInfo());
        var guest = Assert.Single(host.Register.Guests);
        Assert.Equal(("PC?[31m", GuestHost.Win, false), (guest.HostName, guest.Machine, guest.Revoked));
        Assert.Equal(certificate.SerialNumber, guest.Id, ignoreCase: true);
    }

    [Fact]
    public async Task A_code_works_once()
    {
        await using var host = await GuestHost.StartAsync();
        var token = host.Ticket(GuestHost.Win).Token;
        await host.EnrolAsync(token);

        await AssertRefusedAsync(StatusCode.Unauthenticated, () => host.EnrolAsync(token));
        Assert.Single(host.Register.Guests);
    }

    [Fact]
    public async Task A_newer_code_of_the_same_machine_voids_the_older_but_not_that_of_another()
    {
        await using var host = await GuestHost.StartAsync();
        var (older, other, newer) = (host.Ticket(GuestHost.Win).Token, host.Ticket(GuestHost.Mac).Token, host.Ticket(GuestHost.Win).Token);

        await AssertRefusedAsync(StatusCode.Unauthenticated, () => host.EnrolAsync(older));
        Assert.Equal("mac", (await host.EnrolAsync(other)).Machine);
        Assert.Equal("win", (await host.EnrolAsync(newer)).Machine);
    }

    [Fact]
    public async Task A_late_code_is_refused_whatever_the_clock_on_the_wall_says()
    {
        await using var host = await GuestHost.StartAsync();
        var token = host.Ticket(GuestHost.Win, TimeSpan.FromMinutes(2)).Token;
        host.Time.Advance(TimeSpan.FromMinutes(2));
        host.Time.Jump = TimeSpan.FromHours(-5);

        await AssertRefusedAsync(StatusCode.Unauthenticated, () => host.EnrolAsync(token));
    }

    [Fact]
    public async Task Guessing_is_limited_and_the_limit_recovers()
    {
        await using var host = await GuestHost.StartAsync();
        var right = host.Ticket(GuestHost.Win).Token;
        var wrong = ByteString.CopyFrom(new byte[16]);

        for (var i = 0; i < PairingDesk.GuessesPerMinute; i++) await AssertRefusedAsync(StatusCode.Unauthenticated, () => host.EnrolAsync(wrong));
        await AssertRefusedAsync(StatusCode.ResourceExhausted, () => host.EnrolAsync(wrong));
        await AssertRefusedAsync(StatusCode.ResourceExhausted, () => host.EnrolAsync(right));

        host.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("win", (await host.EnrolAsync(right)).Machine);
    }

    [Fact]
    public void One_peer_that_guesses_keeps_no_other_from_pairing()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var desk = new PairingDesk(new byte[16], () => ["192.0.2.1:1"], time);
        var token = GuestHost.ReadTicket(desk.CreateTicket(GuestHost.Win, PairingDesk.DefaultLifetime).Code).Token;
        for (var i = 0; i < 1000; i++) desk.TryRedeem(new byte[16], System.Net.IPAddress.Parse("192.0.2.66"), out _);

        Assert.Equal(Redemption.TooManyGuesses, desk.TryRedeem(token.Span, System.Net.IPAddress.Parse("::ffff:192.0.2.66"), out _));
        Assert.Equal(Redemption.Accepted, desk.TryRedeem(token.Span, System.Net.IPAddress.Parse("192.0.2.7"), out var machine));
        Assert.Equal(GuestHost.Win, machine);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(61)]
    public void A_code_lives_an_hour_at_most(int minutes)
    {
        var desk = new PairingDesk(new byte[16], () => [], TimeProvider.System);
        Assert.Equal(Failure.Usage, Assert.Throws<SwitchException>(() => desk.CreateTicket(GuestHost.Win, TimeSpan.FromMinutes(minutes))).Failure);
    }

    public static TheoryData<string, byte[]> BadRequests()
    {
        using var small = RSA.Create(1024);
        using var good = RSA.Create(2048);
        using var curve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var tampered = GuestHost.Request(good);
        tampered[^1] ^= 1;
        return new()
        {
            { "nothing", [] },
            { "garbage", [1, 2, 3] },
            { "too long", new byte[CertificateAuthority.MaxRequestLength + 1] },
            { "small key", GuestHost.Request(small) },
            { "not RSA", new CertificateRequest("CN=x", curve, HashAlgorithmName.SHA256).CreateSigningRequest() },
            { "signature broken", tampered },
        };
    }

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task A_bad_certificate_request_is_refused(string what, byte[] request)
    {
        await using var host = await GuestHost.StartAsync();
        var status = await AssertRefusedAsync(StatusCode.InvalidArgument, () => host.EnrolAsync(host.Ticket(GuestHost.Win).Token, request));
        Assert.True(status.Detail.Contains("certificate request", StringComparison.Ordinal), $"{what}: {status.Detail}");
        Assert.Empty(host.Register.Guests);
    }

    [Fact]
    public async Task What_the_request_asks_for_beside_its_key_is_ignored()
    {
        await using var host = await GuestHost.StartAsync();
        using var key = RSA.Create(2048);
        var greedy = new CertificateRequest("CN=mac", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        greedy.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        greedy.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([CertificateAuthority.ServerAuthentication], true));

        var reply = await host.EnrolAsync(host.Ticket(GuestHost.Win).Token, greedy.CreateSigningRequest());

        using var certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        Assert.Equal("CN=win", certificate.Subject);
        Assert.False(certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority);
        using var asServer = GuestChain.Create(host.Authority.Certificate, CertificateAuthority.ServerAuthentication);
        Assert.False(asServer.Build(certificate));
    }

    [Fact]
    public async Task A_machine_that_left_the_configuration_is_not_paired()
    {
        await using var host = await GuestHost.StartAsync();
        var token = host.Ticket(GuestHost.Mac).Token;
        host.Configured.Remove(GuestHost.Mac);
        await AssertRefusedAsync(StatusCode.PermissionDenied, () => host.EnrolAsync(token));
    }

    private static async Task<Status> AssertRefusedAsync(StatusCode code, Func<Task> call)
    {
        var e = await Assert.ThrowsAsync<RpcException>(call);
        Assert.Equal(code, e.StatusCode);
        return e.Status;
    }
}
