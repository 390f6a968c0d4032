using System.Security.Cryptography;
using KvmSwitch.Daemon.Guests;
using Xunit;

namespace KvmSwitch.Tests.Guests;

public sealed class StoredTrustTests : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("kvmswitch-trust-");
    private readonly JumpyTime time = new();

    [Fact]
    public async Task The_authority_is_made_once_and_its_keys_are_for_us_alone()
    {
        using var first = await OpenAsync();
        using var second = await OpenAsync();

        Assert.Equal(first.Certificate.RawData, second.Certificate.RawData);
        Assert.Equal(first.Server.RawData, second.Server.RawData);
        Assert.Equal(SHA256.HashData(first.Certificate.RawData)[..16], second.Fingerprint);
        Assert.All(directory.GetFiles(), f => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, f.UnixFileMode));
        var carried = first.Server.Extensions.Single(e => e.Oid!.Value == CertificateAuthority.AuthorityExtension);
        Assert.Equal(first.Certificate.RawData, carried.RawData);
        using var asGuest = GuestChain.Create(first.Certificate, CertificateAuthority.ClientAuthentication);
        Assert.False(asGuest.Build(first.Server));

        time.Jump = TimeSpan.FromDays((2 * 365) + 10);
        using var renewed = await OpenAsync();
        Assert.Equal(first.Certificate.RawData, renewed.Certificate.RawData);
        Assert.NotEqual(first.Server.RawData, renewed.Server.RawData);
    }

    [Theory]
    [InlineData(-20000)]
    [InlineData(20000)]
    public async Task A_clock_that_is_wrong_by_decades_keeps_nothing_from_starting(int days)
    {
        using var first = await OpenAsync();
        File.Delete(Path.Combine(directory.FullName, "guest-server.pem"));
        time.Jump = TimeSpan.FromDays(days);
        using var second = await OpenAsync();
        Assert.Equal(first.Fingerprint, second.Fingerprint);
    }

    [Theory]
    [InlineData("guest-ca.pem")]
    [InlineData("guest-server.pem")]
    public async Task A_damaged_key_file_is_an_error_and_not_a_new_key(string name)
    {
        var path = Path.Combine(directory.FullName, name);
        using (await OpenAsync())
        {
        }

        await File.WriteAllTextAsync(path, "-----BEGIN CERTIFICATE-----\nAAAA\n");
        var e = await Assert.ThrowsAsync<InvalidDataException>(OpenAsync);
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_register_keeps_what_was_issued_and_revoked()
    {
        var guest = new GuestCertificate("0a", GuestHost.Win, "PC", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddDays(1), Revoked: false);
        using (var register = await GuestRegister.OpenAsync(directory.FullName, default))
        {
            await register.AddAsync(guest, default);
            await register.AddAsync(guest with { Id = "0b" }, default);
            await register.AddAsync(guest with { Id = "0c", Machine = GuestHost.Mac }, default);
            Assert.Equal(["0a"], await register.RevokeAsync("0a", default));
            Assert.Equal(["0b"], await register.RevokeAsync("win", default));
        }

        using var again = await GuestRegister.OpenAsync(directory.FullName, default);
        Assert.Equal(
            [guest with { Revoked = true }, guest with { Id = "0b", Revoked = true }, guest with { Id = "0c", Machine = GuestHost.Mac }], again.Guests);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("""{"version":1,"guests":[{"id":"x"}]}""")]
    [InlineData("""{"version":1,"guests":[null]}""")]
    [InlineData("""{"version":1,"guests":[{"id":"x","machine":"NO","hostName":"","paired":"2026-01-01T00:00:00Z","expires":"2026-01-01T00:00:00Z","revoked":false}]}""")]
    public async Task A_damaged_register_is_an_error_and_never_empty(string content)
    {
        var path = Path.Combine(directory.FullName, "guests.json");
        await File.WriteAllTextAsync(path, content);
        var e = await Assert.ThrowsAsync<InvalidDataException>(() => GuestRegister.OpenAsync(directory.FullName, default));
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_can_not_be_stored_does_not_count()
    {
        using var register = await GuestRegister.OpenAsync(directory.FullName, default);
        directory.Delete(recursive: true);
        var guest = new GuestCertificate("0a", GuestHost.Win, "PC", default, default, Revoked: false);
        await Assert.ThrowsAnyAsync<IOException>(() => register.AddAsync(guest, default));
        Assert.Empty(register.Guests);
    }

    public void Dispose()
    {
        if (Directory.Exists(directory.FullName)) directory.Delete(recursive: true);
    }

    private Task<CertificateAuthority> OpenAsync() => CertificateAuthority.OpenAsync(directory.FullName, time, default);
}
