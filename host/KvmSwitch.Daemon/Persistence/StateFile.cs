using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using KvmSwitch.Core;
using KvmSwitch.Linux;

namespace KvmSwitch.Daemon.Persistence;

/// <summary>Keeps who should own each device in <c>state.json</c>, replaced as a whole and flushed to the disk.</summary>
internal sealed partial class StateFile(string path, ILogger<StateFile> log) : IStateStore
{
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int MaxBytes = 1 << 20;

    public ImmutableDictionary<DeviceId, Desired> Load()
    {
        if (!File.Exists(path)) return ImmutableDictionary<DeviceId, Desired>.Empty;
        try
        {
            if (new FileInfo(path).Length > MaxBytes) throw new FormatException("it is far too large");
            var content = JsonSerializer.Deserialize(File.ReadAllBytes(path), StateJson.Default.Content);
            if (content is not { Devices: { } devices }) throw new FormatException("it names no devices");
            if (content.Version is { } version and not Content.Known) throw new FormatException($"it is of version {version}, and this daemon knows {Content.Known}");
            return devices.ToImmutableDictionary(
                pair => DeviceId.Parse(pair.Key), pair => pair.Value?.Read() ?? throw new FormatException($"the owner of {pair.Key} is missing"));
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or JsonException or FormatException)
        {
            throw new SwitchException(
                Failure.Failed,
                $"the saved state in {path} can't be read ({unreadable.Message}); move the file away to start with every device at home",
                unreadable);
        }
    }

    public Task SaveAsync(ImmutableDictionary<DeviceId, Desired> state, CancellationToken cancellationToken)
    {
        var content = new Content(state.OrderBy(pair => pair.Key.Value, StringComparer.Ordinal)
            .ToDictionary(pair => pair.Key.Value, pair => (Entry?)Entry.Of(pair.Value)));
        return AtomicFile.WriteAsync(path, JsonSerializer.SerializeToUtf8Bytes(content, StateJson.Default.Content), Mode, cancellationToken);
    }

    public void ReportFailure(IOException failure) => LogNotSaved(failure.Message);

    [LoggerMessage(1000, LogLevel.Error, "The state could not be saved: {Reason}")]
    private partial void LogNotSaved(string reason);

    /// <summary>The file. Devices that aren't named belong to the host.</summary>
    internal sealed record Content(Dictionary<string, Entry?>? Devices)
    {
        public const int Known = 1;

        public int? Version { get; init; } = Known;
    }

    internal sealed record Entry(string Owner, double? LimitSeconds, DateTimeOffset? Until, bool? Pending)
    {
        public static Entry Of(Desired desired) => new(desired.Owner.ToString(), desired.Limit?.Duration.TotalSeconds, desired.Limit?.Until, desired.Pending ? true : null);

        public Desired Read() => new(Core.Owner.Parse(Owner))
        {
            Pending = Pending ?? false,
            Limit = LimitSeconds is { } seconds && Until is { } until ? new(TimeSpan.FromSeconds(Math.Clamp(seconds, 0, 86_400)), until) : null,
        };
    }

    [JsonSourceGenerationOptions(
        WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
    [JsonSerializable(typeof(Content))]
    internal sealed partial class StateJson : JsonSerializerContext;
}
