using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Guests;

public sealed class LinkRefusalTests
{
    [Fact]
    public async Task Without_a_certificate_there_is_no_link()
    {
        await using var host = await GuestHost.StartAsync();
        await AssertRefusedAsync(host, null, StatusCode.Unauthenticated, "not paired");
    }

    [Fact]
    public async Task A_certificate_of_another_host_is_refused()
    {
        await using var host = await GuestHost.StartAsync();
        await using var other = await GuestHost.StartAsync(ofItsOwn: true);
        using var foreign = await other.PairAsync(GuestHost.Win);
        await AssertRefusedAsync(host, foreign, StatusCode.Unauthenticated, "not one of this host");
    }

    [Fact]
    public async Task A_self_made_certificate_is_refused()
    {
        await using var host = await GuestHost.StartAsync();
        using var key = RSA.Create(2048);
        using var certificate = new CertificateRequest("CN=win", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        await AssertRefusedAsync(host, certificate, StatusCode.Unauthenticated, "not one of this host");
    }

    [Fact]
    public async Task The_servers_own_certificate_is_no_guests()
    {
        await using var host = await GuestHost.StartAsync();
        await host.Register.AddAsync(
            new(host.Authority.Server.SerialNumber.ToLowerInvariant(), GuestHost.Win, "x", default, default, Revoked: false), default);
        await AssertRefusedAsync(host, host.Authority.Server, StatusCode.Unauthenticated, "not one of this host");
    }

    [Fact]
    public async Task A_certificate_that_the_register_does_not_know_is_refused()
    {
        await using var host = await GuestHost.StartAsync();
        using var key = RSA.Create(2048);
        using var bare = host.Authority.IssueGuest(GuestHost.Win, GuestHost.Request(key));
        using var certificate = bare.CopyWithPrivateKey(key);
        await AssertRefusedAsync(host, certificate, StatusCode.Unauthenticated, "not one of this host");
    }

    [Fact]
    public async Task An_expired_certificate_is_refused_and_a_clock_set_back_does_no_harm()
    {
        await using var host = await GuestHost.StartAsync();
        using var certificate = await host.PairAsync(GuestHost.Win);
        host.Time.Jump = TimeSpan.FromDays(-4000);
        using (await host.LinkAsync(certificate))
        {
        }

        host.Time.Jump = CertificateAuthority.GuestLifetime + TimeSpan.FromDays(1);
        var end = certificate.NotAfter.ToUniversalTime();
        await AssertRefusedAsync(
            host, certificate, StatusCode.Unauthenticated,
            $"expired on {end:yyyy-MM-dd} and the host's clock says {host.Time.GetUtcNow():yyyy-MM-dd}: set that clock if it is wrong");
    }

    [Fact]
    public async Task A_revoked_certificate_is_refused_and_the_others_are_not()
    {
        await using var host = await GuestHost.StartAsync();
        using var first = await host.PairAsync(GuestHost.Win);
        using var second = await host.PairAsync(GuestHost.Win);
        await host.Trust.RevokeAsync(first.SerialNumber.ToLowerInvariant(), default);

        await AssertRefusedAsync(host, first, StatusCode.PermissionDenied, "revoked");
        using var agent = await host.LinkAsync(second);
    }

    [Fact]
    public async Task Revoking_a_machine_ends_its_link_and_no_other()
    {
        await using var host = await GuestHost.StartAsync();
        using var certificate = await host.PairAsync(GuestHost.Win);
        using var agent = await host.LinkAsync(certificate);
        using var other = await host.LinkAsync(await host.PairAsync(GuestHost.Mac));

        Assert.Equal([certificate.SerialNumber.ToLowerInvariant()], await host.Trust.RevokeAsync("win", default));

        Assert.Equal(StatusCode.PermissionDenied, (await agent.EndAsync()).StatusCode);
        await host.Listener.WaitForAsync("gone win 1");
        await other.SyncAsync();
        await Assert.ThrowsAsync<SwitchException>(() => host.Trust.RevokeAsync("nobody", default));
    }

    [Fact]
    public async Task A_machine_that_left_the_configuration_has_no_link()
    {
        await using var host = await GuestHost.StartAsync();
        using var certificate = await host.PairAsync(GuestHost.Mac);
        host.Configured.Remove(GuestHost.Mac);
        await AssertRefusedAsync(host, certificate, StatusCode.PermissionDenied, "no machine 'mac'");
    }

    [Fact]
    public async Task A_certificate_speaks_for_its_machine_alone()
    {
        await using var host = await GuestHost.StartAsync();
        using var agent = await host.LinkAsync(await host.PairAsync(GuestHost.Mac));
        await agent.SendAsync(new() { Request = new() { Id = 1, Action = new() { Verb = GuestAction.Types.Verb.Return } } });
        await agent.NextAsync(HostMessage.MessageOneofCase.Reply);

        Assert.Equal("connected mac 1", await host.Listener.NextAsync());
        Assert.Equal("heartbeat mac 1", await host.Listener.NextAsync());
        Assert.Equal("request mac Return  agent", await host.Listener.NextAsync());
        Assert.False(host.Links.IsLive(GuestHost.Win));
    }

    [Fact]
    public async Task A_newer_link_replaces_the_older_whose_words_are_void()
    {
        await using var host = await GuestHost.StartAsync();
        using var certificate = await host.PairAsync(GuestHost.Win);
        using var older = await host.LinkAsync(certificate);
        await host.Listener.WaitForAsync("heartbeat win 1");
        using var newer = await host.LinkAsync(certificate);

        Assert.Equal(StatusCode.Aborted, (await older.EndAsync()).StatusCode);
        await newer.SyncAsync();
        var events = new List<string>();
        do events.Add(await host.Listener.NextAsync());
        while (events.Count < 4);
        Assert.Equal(["connected win 2", "gone win 1", "heartbeat win 2", "heartbeat win 2"], events.Order());
        Assert.True(host.Links.IsLive(GuestHost.Win));
    }

    [Fact]
    public async Task Agents_that_replace_each_other_for_ever_are_slowed()
    {
        await using var host = await GuestHost.StartAsync();
        using var certificate = await host.PairAsync(GuestHost.Win);
        for (var i = 0; i < 10; i++)
        {
            using (await host.LinkAsync(certificate))
            {
            }
        }

        await AssertRefusedAsync(host, certificate, StatusCode.ResourceExhausted, "too often");
        host.Time.Advance(TimeSpan.FromSeconds(2));
        using var agent = await host.LinkAsync(certificate);
    }

    [Fact]
    public async Task Control_is_served_on_the_socket_alone_and_guests_by_network_alone()
    {
        await using var host = await GuestHost.StartAsync();
        using var certificate = await host.PairAsync(GuestHost.Win);
        using var network = host.Connect(certificate);
        using var socket = host.ConnectSocket();

        var e = await Assert.ThrowsAsync<RpcException>(async () => await new Control.ControlClient(network).GetStateAsync(new()));
        Assert.Equal(StatusCode.Unimplemented, e.StatusCode);
        Assert.Equal("fake", (await new Control.ControlClient(socket).GetStateAsync(new())).DaemonVersion);
        var token = host.Ticket(GuestHost.Win).Token;
        e = await Assert.ThrowsAsync<RpcException>(async () => await new Guest.GuestClient(socket).EnrolAsync(new() { Token = token }));
        Assert.Equal(StatusCode.Unimplemented, e.StatusCode);
    }

    private static async Task AssertRefusedAsync(GuestHost host, X509Certificate2? certificate, StatusCode code, string why)
    {
        using var agent = new TestAgent(host.Connect(certificate));
        var status = await agent.EndAsync();
        Assert.True(status.StatusCode == code && status.Detail.Contains(why, StringComparison.Ordinal), $"{status.StatusCode}: {status.Detail}");
    }
}
