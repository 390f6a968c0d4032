using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Which functions we have taken from their drivers, and from which. Outlives the daemon, or nobody could bring them home.</summary>
public interface IDriverMemory
{
    /// <summary>Returns once it is safe on the disk: save before touching, forget after bringing home.</summary>
    /// <param name="driver">What was bound; empty: none, or vfio-pci by the host's own configuration. Null forgets the function.</param>
    /// <exception cref="IOException">
    /// Not written. What was to be remembered is not remembered; what was to be forgotten is, until the next start.
    /// </exception>
    Task SaveAsync(PciAddress function, string? driver, CancellationToken cancellationToken);

    /// <summary>As saved; null for a function that we haven't taken.</summary>
    string? Find(PciAddress function);
}

/// <summary>Keeps it in one small file, <c>{"version": 1, "functions": {"0000:00:1a.0": "ehci-pci"}}</c>, replaced as a whole.</summary>
public sealed class DriverMemory : IDriverMemory, IDisposable
{
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int MaxBytes = 1 << 20;
    private const int Version = 1;
    private readonly string _path;
    private readonly SemaphoreSlim _turn = new(1);
    private ImmutableSortedDictionary<string, string> _drivers;

    private DriverMemory(string path, ImmutableSortedDictionary<string, string> drivers) => (_path, _drivers) = (path, drivers);

    /// <param name="path">Absolute. No such file: nothing is remembered.</param>
    /// <exception cref="SwitchException">The file can't be read, or makes no sense.</exception>
    public static DriverMemory Open(string path)
    {
        try
        {
            if (!File.Exists(path)) return new(path, ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal));
            if (new FileInfo(path).Length > MaxBytes) throw new FormatException("it is far too large");
            return new(path, Parse(File.ReadAllBytes(path)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or FormatException or InvalidOperationException or ArgumentException)
        {
            throw new SwitchException(
                Failure.Failed,
                $"the remembered drivers in {path} can't be read ({e.Message}); move the file away, and restart the computer if a controller was given to a machine",
                e);
        }
    }

    /// <summary>Whether a text can be a driver's name: it becomes a part of a path.</summary>
    internal static bool IsDriverName(string name) => name.Length <= 64 && name is not ("." or "..") && !name.Any(letter => letter == '/' || char.IsControl(letter));

    public string? Find(PciAddress function) => Volatile.Read(ref _drivers).GetValueOrDefault(function.Value);

    public async Task SaveAsync(PciAddress function, string? driver, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            var next = driver is null ? _drivers.Remove(function.Value) : _drivers.SetItem(function.Value, driver);
            if (driver is null) Volatile.Write(ref _drivers, next);
            await AtomicFile.WriteAsync(_path, Format(next), Mode, cancellationToken);
            Volatile.Write(ref _drivers, next);
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();

    private static ImmutableSortedDictionary<string, string> Parse(byte[] content)
    {
        var root = JsonNode.Parse(content)?.AsObject() ?? throw new FormatException("it is empty");
        if (root["version"]?.GetValue<int>() is not Version) throw new FormatException($"its version is not {Version}");
        var functions = root["functions"]?.AsObject() ?? throw new FormatException("it names no functions");
        return functions.ToImmutableSortedDictionary(
            pair => PciAddress.Parse(pair.Key).Value,
            pair => pair.Value?.GetValue<string>() is { } driver && IsDriverName(driver) ? driver : throw new FormatException($"the driver of {pair.Key} is no name"),
            StringComparer.Ordinal);
    }

    private static byte[] Format(ImmutableSortedDictionary<string, string> drivers)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteNumber("version", Version);
            writer.WriteStartObject("functions");
            foreach (var (function, driver) in drivers) writer.WriteString(function, driver);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return stream.ToArray();
    }
}
