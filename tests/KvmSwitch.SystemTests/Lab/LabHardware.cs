using System.Text.Json.Nodes;
using KvmSwitch.Qmp;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>What a person's hands do to the lab's Linux host: keys, plugs, discs. It is done by the QEMU around it.</summary>
public sealed class LabHardware(QmpClient qmp, string list, string directory)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    // Name, and QEMU's options for it, as the file tells.
    private readonly Dictionary<string, string> _devices = File.ReadLines(list)
        .Where(line => line.Length > 0 && line[0] != '#')
        .Select(line => line.Split(' ', 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        .ToDictionary(parts => parts[0], parts => parts[1], StringComparer.Ordinal);

    /// <summary>The serial number of a device, as the list gives it; empty for none.</summary>
    public string SerialOf(string name) =>
        _devices[name].Split(',').First(option => option.StartsWith("serial=", StringComparison.Ordinal))["serial=".Length..];

    /// <summary>Presses a key on a keyboard and lets go of it.</summary>
    /// <param name="keyboard">Its name in the list.</param>
    /// <param name="key">QEMU's word for the key.</param>
    public async Task PressAsync(string keyboard, string key, CancellationToken cancellation)
    {
        await KeyAsync(keyboard, key, down: true, cancellation);
        await KeyAsync(keyboard, key, down: false, cancellation);
    }

    public Task KeyAsync(string keyboard, string key, bool down, CancellationToken cancellation) => qmp.ExecuteAsync(
        "input-send-event", new() { ["device"] = $"{keyboard}-view", ["events"] = new JsonArray(QmpInput.Key(key, down)) }, cancellationToken: cancellation);

    /// <summary>Pulls a plug.</summary>
    public Task UnplugAsync(string name, CancellationToken cancellation) => qmp.DeviceDelAndWaitAsync(name, Patience, cancellation);

    public async Task<bool> IsPluggedAsync(string name, CancellationToken cancellation) =>
        (await qmp.ListPeripheralsAsync(cancellation)).Contains(name, StringComparer.Ordinal);

    public async Task PlugAsync(string name, CancellationToken cancellation)
    {
        // The monitor for people understands the options as the command line does.
        var driver = _devices[name].Split(',', 2);
        var said = await qmp.ExecuteAsync(
            "human-monitor-command", new() { ["command-line"] = $"device_add {driver[0]},id={name},{driver[1]}" }, cancellationToken: cancellation);
        if (said.GetString() is { Length: > 0 } error) throw new IOException($"{name} can't be plugged in: {error.Trim()}");
    }

    /// <summary>Plugs in whatever isn't, hubs before what is behind them.</summary>
    public async Task PlugAllAsync(CancellationToken cancellation)
    {
        var there = await qmp.ListPeripheralsAsync(cancellation);
        foreach (var name in _devices.Keys.Where(name => !there.Contains(name, StringComparer.Ordinal))) await PlugAsync(name, cancellation);
    }

    /// <summary>Puts one of the discs 1 to 3 into the drive, or takes out what is in it, with the paper clip if need be.</summary>
    public async Task DiscAsync(int? disc, CancellationToken cancellation)
    {
        await qmp.ExecuteAsync("eject", new() { ["id"] = "drive", ["force"] = true }, cancellationToken: cancellation);
        if (disc is not { } number) return;
        await qmp.ExecuteAsync(
            "blockdev-change-medium",
            new() { ["id"] = "drive", ["filename"] = Path.Combine(directory, $"disc{number}.img"), ["format"] = "raw", ["read-only-mode"] = "read-only" },
            cancellationToken: cancellation);
    }
}
