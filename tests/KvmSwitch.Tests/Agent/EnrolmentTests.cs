using System.Runtime.Versioning;
using System.Security.Cryptography;
using CsCheck;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Link;
using KvmSwitch.Agent.Linux;
using Xunit;

namespace KvmSwitch.Tests.Agent;

public sealed class EnrolmentTests : IDisposable
{
    private readonly TestCa ca = new();
    private readonly TemporaryDirectory state = new();

    private IdentityStore Store => new(state.Path);

    [Fact]
    [SupportedOSPlatform("linux")]
    public async Task A_code_is_traded_for_an_identity_that_only_its_owner_can_read()
    {
        await using var host = await TestHost.StartAsync(ca);
        var identity = await JoinAsync(host.Code());
        Assert.Equal("win", identity.Machine);
        Assert.Equal("guest", host.Service.Enrolled?.HostName);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(state.At(IdentityStore.FileName)));
        Assert.Equal([state.At(IdentityStore.FileName)], Directory.GetFileSystemEntries(state.Path));
        Assert.Equal($"Paired: machine win, host at {host.Address}.", StatusCommand.Text(Store.Load()));
        Assert.Equal($$"""{"joined":true,"machine":"win","addresses":["{{host.Address}}"]}""", StatusCommand.Json(Store.Load()));
    }

    [Fact]
    public async Task Another_address_is_tried_when_the_first_does_not_answer()
    {
        await using var host = await TestHost.StartAsync(ca);
        Assert.Equal("win", (await JoinAsync(host.Code("127.0.0.1:1", host.Address))).Machine);
    }

    [Fact]
    public async Task A_host_without_the_certificate_of_the_code_never_sees_the_token()
    {
        using var foreign = new TestCa();
        await using var host = await TestHost.StartAsync(foreign);
        await using var named = await TestHost.StartAsync(ca);
        var refused = await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinAsync(named.Code(host.Address)));
        Assert.Contains("is not the paired host: its certificate comes from another host", refused.Message, StringComparison.Ordinal);
        Assert.Null(host.Service.Enrolled);
    }

    [Fact]
    public void The_certificate_of_another_guest_does_not_make_a_host()
    {
        var trust = new ServerTrust(ca.Fingerprint);
        using var guest = ca.Server(TestCa.ForClients);
        Assert.False(trust.Accepts(guest, presented: null));
        Assert.Equal("its certificate is not one for servers", trust.Refusal);
        using var server = ca.Server();
        Assert.True(trust.Accepts(server, presented: null));
        Assert.Null(trust.Refusal);
    }

    [Fact]
    public async Task A_certificate_with_the_right_fingerprint_that_is_no_ca_is_refused()
    {
        using var leafOnly = new TestCa(isCa: false);
        await using var host = await TestHost.StartAsync(leafOnly);
        await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinAsync(host.Code()));
        Assert.Null(host.Service.Enrolled);
    }

    [Fact]
    public async Task A_server_that_only_carries_the_ca_but_was_not_issued_by_it_is_refused()
    {
        using var thief = new TestCa();
        using var stolen = thief.Server(carriedRoot: ca.Certificate);
        await using var host = await TestHost.StartAsync(ca, stolen);
        await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinAsync(host.Code()));
        Assert.Null(host.Service.Enrolled);
    }

    [Fact]
    public async Task A_guest_whose_clock_is_wrong_can_pair()
    {
        await using var host = await TestHost.StartAsync(ca, ca.Server(expired: DateTimeOffset.UtcNow.AddHours(-1)));
        Assert.Equal("win", (await JoinAsync(host.Code())).Machine);
    }

    [Fact]
    public async Task A_failed_join_leaves_the_old_pairing()
    {
        await using var host = await TestHost.StartAsync(ca);
        await JoinAsync(host.Code());
        var before = await File.ReadAllBytesAsync(state.At(IdentityStore.FileName));

        host.Service.EnrolledCa = RandomNumberGenerator.GetBytes(64);
        await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinAsync(host.Code()));
        host.Service.EnrolledCa = null;
        host.Service.Sign = _ => ca.Certificate;
        var wrongKey = await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinAsync(host.Code()));
        Assert.Contains("not for the key", wrongKey.Message, StringComparison.Ordinal);
        host.Service.Sign = _ => [1, 2, 3];
        await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinAsync(host.Code()));

        Assert.Equal(before, await File.ReadAllBytesAsync(state.At(IdentityStore.FileName)));
        Assert.Single(Directory.GetFileSystemEntries(state.Path));
    }

    [Fact]
    public async Task A_code_that_the_host_refuses_is_said_with_the_way_out()
    {
        await using var host = await TestHost.StartAsync(ca);
        host.Service.Refuses = true;
        var refused = await Assert.ThrowsAsync<KvmSwitch.Agent.JoinFailedException>(() => JoinAsync(host.Code()));
        Assert.Equal(
            "The host refused the pairing code: it is wrong, used or expired. Make a new one there with 'kvmswitch guest pair'.",
            refused.Message);
    }

    [Fact]
    public async Task A_state_directory_that_can_not_be_written_is_said_before_the_code_is_spent()
    {
        await using var host = await TestHost.StartAsync(ca);
        await File.WriteAllTextAsync(state.At("file"), "");
        var enroller = new Enroller(new RsaKeyMaker(), new IdentityStore(state.At("file", "below")));
        await Assert.ThrowsAsync<KvmSwitch.Agent.BadIdentityException>(
            () => enroller.JoinAsync(JoinCode.Parse(host.Code()), "guest", CancellationToken.None));
        Assert.Null(host.Service.Enrolled);
    }

    [Fact]
    public void Any_text_is_a_code_or_a_clear_refusal() => Gen.OneOf(Gen.String, Gen.String[Gen.Char.AlphaNumeric, 0, 80].Select(text => "ksw1-" + text)).Sample(text =>
    {
        try
        {
            return JoinCode.Parse(text).Fingerprint.Length >= 16;
        }
        catch (KvmSwitch.Agent.BadJoinCodeException refused)
        {
            return refused.Message.Contains("kvmswitch guest pair", StringComparison.Ordinal);
        }
    });

    [Fact]
    public async Task A_code_that_was_cut_anywhere_is_refused()
    {
        await using var host = await TestHost.StartAsync(ca);
        var code = host.Code();
        for (var length = 0; length < code.Length; length++)
            Assert.Throws<KvmSwitch.Agent.BadJoinCodeException>(() => JoinCode.Parse(code[..length]));
    }

    [Theory]
    [InlineData("192.168.1.5:7444", true)]
    [InlineData("[fe80::1]:7444", true)]
    [InlineData("192.168.1.5", false)]
    [InlineData("host:443/path", false)]
    [InlineData("user@host:1", false)]
    [InlineData("", false)]
    public void An_address_has_a_port_and_nothing_else(string text, bool good) =>
        Assert.Equal(good ? text : null, HostAddress.TryParse(text)?.ToString());

    [Fact]
    public void The_pause_between_attempts_doubles_within_its_bounds() => Gen.Double[0, 1].Array[1, 40].Sample(randoms =>
    {
        var backOff = new BackOff();
        for (var index = 0; index < randoms.Length; index++)
        {
            var full = Math.Min(100 * Math.Pow(2, index), 2000);
            if (backOff.Next(randoms[index]).TotalMilliseconds is var pause && (pause < (full / 2) - 1 || pause > full + 1))
                return false;
        }

        backOff.Reset();
        return backOff.Next(1) == BackOff.First;
    });

    [Theory]
    [InlineData("SigCgt:\t0000000000000800", true)]
    [InlineData("SigCgt:\t0000000000010000", false)]
    [InlineData("SigCgt:\tgarbage", false)]
    [InlineData("Name:\tinit", false)]
    public void An_init_that_handles_the_signal_is_asked_politely(string line, bool expected) =>
        Assert.Equal(expected ? ("poweroff", null) : ("poweroff", "-f"), Power.Choose(systemd: false, Power.Catches([line], 12)));

    public void Dispose()
    {
        state.Dispose();
        ca.Dispose();
    }

    private Task<HostIdentity> JoinAsync(string code) =>
        new Enroller(new RsaKeyMaker(), Store).JoinAsync(JoinCode.Parse(code), "guest", CancellationToken.None);
}
