using System.Collections.Immutable;
using System.Text;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>The configuration file: TOML, checked as a whole, with every error told at once.</summary>
public static class ConfigurationFile
{
    /// <summary>Larger files are refused, bytes.</summary>
    public const int MaxSize = 1 << 20;

    /// <exception cref="ConfigurationException">The file can't be read, others may write it, or something in it is wrong.</exception>
    public static SwitchConfiguration Load(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(stream.SafeFileHandle) & UnixFileMode.OtherWrite) != UnixFileMode.None)
                throw Refused(path, $"Everyone may write this file, and it steers a service with high rights; run: chmod o-w '{path}'");
            var buffer = new byte[MaxSize + 1];
            var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            if (length > MaxSize) throw Refused(path, "The file is larger than 1 MiB, so it can't be the configuration; name the right file.");
            return Parse(new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(buffer.AsSpan(0, length)).TrimStart('\uFEFF'), path);
        }
        catch (DecoderFallbackException e)
        {
            throw Refused(path, "The file is not UTF-8 text; save it as UTF-8.", e);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Refused(path, "The configuration file does not exist; write one, or name another with --config.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Refused(path, $"The configuration file can't be read ({e.Message}); check its permissions.", e);
        }
    }

    /// <param name="fileName">For error messages.</param>
    /// <exception cref="ConfigurationException">Something in it is wrong; tells all that is.</exception>
    public static SwitchConfiguration Parse(string text, string fileName)
    {
        var errors = new ConfigurationErrors(fileName);
        var root = new TableReader(TomlTree.Read(text, fileName, errors), "", errors);
        var daemon = DaemonSection.Read(root.Table("daemon"));
        var lease = LeaseSection.Read(root.Table("lease"));
        var machines = MachineSection.ReadAll(root);
        var devices = DeviceSection.ReadAll(root, machines);
        if (devices.Any(device => device.Route is DeviceRoute.Optical))
            machines = [.. machines.Select(machine => machine is ManagedMachine managed ? managed with { TakesDrives = true } : machine)];
        var sets = SetSection.ReadAll(root, devices);
        var targets = new Targets(devices, sets);
        machines = GuestSection.ReadAll(root, machines, targets);
        var (guestHotkeys, hostHotkeys) = HotkeySection.ReadAll(root, machines, targets);
        root.Finish();
        errors.ThrowIfAny();
        return new(daemon, lease, machines, devices, sets, guestHotkeys) { HostHotkeys = hostHotkeys };
    }

    private static ConfigurationException Refused(string path, string problem, Exception? inner = null) =>
        new([new(path, 0, 0, "", problem)], inner);
}

/// <summary>What can be named where devices are meant.</summary>
internal sealed record Targets(ImmutableArray<Device> Devices, ImmutableArray<DeviceSet> Sets)
{
    private IEnumerable<string> Names => Sets.Select(set => set.Id.Value).Concat(Devices.Select(device => device.Id.Value));

    /// <exception cref="FormatException">Neither a device nor a set.</exception>
    public ImmutableArray<DeviceId> Resolve(string name) =>
        Sets.FirstOrDefault(set => set.Id.Value == name)?.Devices
        ?? (Devices.FirstOrDefault(device => device.Id.Value == name) is { } found
            ? [found.Id]
            : throw new FormatException($"there is no device or set '{name}'{Spelling.Hint(name, Names)}"));
}
