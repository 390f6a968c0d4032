using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using KvmSwitch.Core;
using KvmSwitch.Linux;

namespace KvmSwitch.Daemon.Guests;

/// <summary>A certificate that was issued.</summary>
/// <param name="Id">Its serial number, lower-case hexadecimal.</param>
/// <param name="HostName">What the guest called itself, for people.</param>
internal sealed record GuestCertificate(
    string Id, MachineId Machine, string HostName, DateTimeOffset Paired, DateTimeOffset Expires, bool Revoked);

/// <summary>Every certificate that was issued, on disk before it counts. What is not in here is no guest of ours.</summary>
internal sealed class GuestRegister : IDisposable
{
    private const string FileName = "guests.json";

    private readonly SemaphoreSlim writing = new(1);
    private readonly string path;
    private volatile Entries entries;

    private GuestRegister(string path, ImmutableArray<GuestCertificate> guests) => (this.path, entries) = (path, new(guests));

    public ImmutableArray<GuestCertificate> Guests => entries.Guests;

    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static async Task<GuestRegister> OpenAsync(string stateDirectory, CancellationToken cancellationToken)
    {
        var file = Path.Combine(stateDirectory, FileName);
        if (!File.Exists(file)) return new(file, []);
        try
        {
            await using var stream = File.OpenRead(file);
            var document = await JsonSerializer.DeserializeAsync(stream, RegisterJson.Default.RegisterDocument, cancellationToken)
                ?? throw new JsonException("it is empty");
            return new(file, [.. document.Guests.Select(g => g?.ToCertificate() ?? throw new JsonException("an entry is null"))]);
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            throw new InvalidDataException(
                $"{file} is damaged ({e.Message}): restore it from a backup, or move it away and pair every guest again", e);
        }
    }

    public GuestCertificate? Find(string id) => Guests.FirstOrDefault(g => g.Id == id);

    /// <exception cref="IOException">It could not be stored; nothing was changed.</exception>
    public Task AddAsync(GuestCertificate guest, CancellationToken cancellationToken) =>
        StoreAsync(guests => guests.Add(guest), cancellationToken);

    /// <summary>Revokes one certificate, or all of a machine.</summary>
    /// <param name="guest">A certificate's id, or a machine's name.</param>
    /// <returns>The ids that were revoked by this call.</returns>
    /// <exception cref="SwitchException">Nothing to revoke has this name.</exception>
    /// <exception cref="IOException">It could not be stored; nothing was changed.</exception>
    public async Task<ImmutableArray<string>> RevokeAsync(string guest, CancellationToken cancellationToken)
    {
        ImmutableArray<string> revoked = [];
        await StoreAsync(
            guests =>
            {
                if (!guests.Any(g => IsMeant(g, guest)))
                    throw new SwitchException(Failure.Usage, $"no guest '{guest}' was ever paired: 'kvmswitch guest list' shows those that were");
                revoked = [.. guests.Where(g => IsMeant(g, guest) && !g.Revoked).Select(g => g.Id)];
                return [.. guests.Select(g => IsMeant(g, guest) ? g with { Revoked = true } : g)];
            },
            cancellationToken);
        return revoked;
    }

    public void Dispose() => writing.Dispose();

    private static bool IsMeant(GuestCertificate guest, string name) =>
        guest.Id == name || guest.Machine.Value == name;

    private async Task StoreAsync(
        Func<ImmutableArray<GuestCertificate>, ImmutableArray<GuestCertificate>> change, CancellationToken cancellationToken)
    {
        await writing.WaitAsync(cancellationToken);
        try
        {
            var next = change(Guests);
            var document = new RegisterDocument(1, [.. next.Select(RegisterEntry.From)]);
            var json = JsonSerializer.SerializeToUtf8Bytes(document, RegisterJson.Default.RegisterDocument);
            await AtomicFile.WriteAsync(path, json, UnixFileMode.UserRead | UnixFileMode.UserWrite, cancellationToken);
            entries = new(next);
        }
        finally
        {
            writing.Release();
        }
    }

    // A reference, so that readers on other threads never see half of it.
    private sealed record Entries(ImmutableArray<GuestCertificate> Guests);
}

internal sealed record RegisterDocument(int Version, IReadOnlyList<RegisterEntry?> Guests);

internal sealed record RegisterEntry(
    string Id, string Machine, string HostName, DateTimeOffset Paired, DateTimeOffset Expires, bool Revoked)
{
    public static RegisterEntry From(GuestCertificate g) => new(g.Id, g.Machine.Value, g.HostName, g.Paired, g.Expires, g.Revoked);

    public GuestCertificate ToCertificate() => new(Id, MachineId.Parse(Machine), HostName, Paired, Expires, Revoked);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    WriteIndented = true,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(RegisterDocument))]
internal sealed partial class RegisterJson : JsonSerializerContext;
