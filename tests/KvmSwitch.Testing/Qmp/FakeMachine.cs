using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Testing.Qmp;

/// <summary>The state behind the protocol. Not thread-safe: <see cref="FakeQemu"/> holds the lock.</summary>
internal sealed class FakeMachine(FakeQemuOptions options) : IDisposable
{
    private readonly SortedDictionary<string, FakeDevice> _devices =
        new(options.Devices.ToDictionary(device => device.Id, StringComparer.Ordinal), StringComparer.Ordinal);

    private readonly HashSet<string> _builtIn = options.Devices.Select(device => device.Id).ToHashSet(StringComparer.Ordinal);
    private readonly SortedDictionary<string, JsonObject> _objects = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _leaving = new(StringComparer.Ordinal);

    internal FakeFdSets FdSets { get; } = new();

    internal FakeVncServer Vnc { get; } = new(options.HasVnc);

    internal FakeBlockNodes BlockNodes => field ??= new(FdSets);

    internal string RunState { get; private set; } = options.Running ? "running" : "prelaunch";

    /// <summary>The guest answers nothing, until it is reset.</summary>
    internal bool IsHung { get; set; }

    internal IReadOnlyDictionary<string, FakeDevice> Devices => new Dictionary<string, FakeDevice>(_devices, StringComparer.Ordinal);

    internal FakeOutcome Execute(FakeCommand command, Func<SafeFileHandle?> descriptor) => command.Name switch
    {
        "query-status" => FakeOutcome.Done(new JsonObject
        {
            ["status"] = RunState,
            ["singlestep"] = false,
            ["running"] = RunState == "running",
        }),
        "query-version" => FakeOutcome.Done(VersionOf(options.Version)),
        "query-memory-size-summary" => FakeOutcome.Done(new JsonObject { ["base-memory"] = 1L << 30, ["plugged-memory"] = 0 }),
        "device_add" => Add(command.Arguments),
        "device_del" => Delete(command.Arguments),
        "object-add" => AddObject(command.Arguments),
        "object-del" => RemoveObject(command.Arguments),
        "qom-list" when FakeDeviceRules.Text(command.Arguments, "path") == FakeQom.Objects => FakeQom.ListObjects(_objects),
        "qom-get" when FakeQom.FindObject(command.Arguments, _objects) is { } found => FakeQom.GetOf(found, command.Arguments),
        "qom-list" => FakeQom.List(command.Arguments, _devices),
        "qom-get" => FakeQom.Get(command.Arguments, _devices),
        "qom-set" => FakeQom.Set(command.Arguments, _devices),
        "query-vnc-servers" => Vnc.List(),
        "getfd" => Vnc.Take(command.Arguments, descriptor()),
        "add_client" => Vnc.Add(command.Arguments),
        "add-fd" => FdSets.Add(command.Arguments, descriptor()),
        "remove-fd" => FdSets.Remove(command.Arguments),
        "blockdev-add" => BlockNodes.Add(command.Arguments),
        "blockdev-del" => BlockNodes.Delete(command.Arguments, _devices),
        "query-named-block-nodes" => BlockNodes.List(),
        "stop" => SetRunning(false),
        "cont" => SetRunning(true),
        "system_reset" => Reset(guest: false),
        "system_powerdown" => PowerDown(),
        "quit" => FakeOutcome.Done() with { After = [Shutdown(guest: false, "host-qmp-quit")], Exits = true },
        "input-send-event" when RunState != "running" => FakeOutcome.Refused("VM not running"),
        "send-key" or "input-send-event" => FakeOutcome.Done(),
        _ => FakeOutcome.Refused($"The command {command.Name} has not been found", "CommandNotFound"),
    };

    internal static JsonObject VersionOf(Version version) => new()
    {
        ["qemu"] = new JsonObject { ["micro"] = version.Build, ["minor"] = version.Minor, ["major"] = version.Major },
        ["package"] = "",
    };

    internal static FakeEvent Shutdown(bool guest, string reason) =>
        new("SHUTDOWN", new JsonObject { ["guest"] = guest, ["reason"] = reason });

    /// <summary>The machine starts over; what waited for the guest's consent to leave goes now.</summary>
    internal FakeOutcome Reset(bool guest)
    {
        IsHung = false;
        var reset = new FakeEvent("RESET", new JsonObject { ["guest"] = guest, ["reason"] = guest ? "guest-reset" : "host-qmp-system-reset" });
        return FakeOutcome.Done() with { Before = [reset, .. FinishLeaving()] };
    }

    internal FakeEvent Panic()
    {
        RunState = "guest-panicked";
        return new FakeEvent("GUEST_PANICKED", new JsonObject { ["action"] = "pause" });
    }

    /// <summary>Takes the device away without a word; the caller tells of it, or not.</summary>
    internal void Take(string id)
    {
        _leaving.Remove(id);
        _devices.Remove(id);
        FdSets.Close(id);
    }

    public void Dispose()
    {
        FdSets.Dispose();
        Vnc.Dispose();
    }

    internal void Put(FakeDevice device) => _devices.Add(device.Id, device);

    private FakeOutcome AddObject(JsonObject arguments)
    {
        var (type, id) = (FakeDeviceRules.Text(arguments, "qom-type"), FakeDeviceRules.Text(arguments, "id"));
        if (type is null || id is null) return FakeOutcome.Refused($"Parameter '{(type is null ? "qom-type" : "id")}' is missing");
        if (type == "input-linux" && arguments["repeat"] is { } repeat && repeat.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False))
            return FakeOutcome.Refused("Invalid parameter type for 'repeat', expected: boolean");
        return _objects.TryAdd(id, (JsonObject)arguments.DeepClone())
            ? FakeOutcome.Done()
            : FakeOutcome.Refused($"attempt to add duplicate property '{id}' to object (type 'container')");
    }

    private FakeOutcome RemoveObject(JsonObject arguments) => FakeDeviceRules.Text(arguments, "id") is { } id && _objects.Remove(id)
        ? FakeOutcome.Done()
        : FakeOutcome.Refused($"object '{FakeDeviceRules.Text(arguments, "id")}' not found");

    private FakeOutcome Add(JsonObject arguments)
    {
        if ((FakeDeviceRules.Objection(arguments, _devices) ?? BlockNodes.Objection(arguments)) is { } objection)
        {
            return FakeOutcome.Refused(objection);
        }

        var driver = FakeDeviceRules.Text(arguments, "driver")!;
        var id = FakeDeviceRules.Text(arguments, "id") ?? $"device[{_devices.Count}]";
        var properties = (JsonObject)arguments.DeepClone();
        properties.Remove("driver");
        properties.Remove("id");
        var device = new FakeDevice(id, driver, properties);
        if (driver == "usb-host")
        {
            // As QEMU does: a named node must open, but a port or an identity without a device is no error.
            var node = FakeDeviceRules.Text(arguments, "hostdevice");
            var opened = node is not null && FdSets.Open(node, id);
            if (node is not null && !opened && !File.Exists(node))
            {
                return FakeOutcome.Refused($"failed to open {node}: No such file or directory");
            }

            device = device with { HasDescriptor = opened, Attached = node is not null };
        }

        // One that is hot-plugged waits for its drives.
        if (driver == "usb-bot") device = device with { Attached = false };
        _devices.Add(id, device);
        return FakeOutcome.Done();
    }

    private FakeOutcome Delete(JsonObject arguments)
    {
        var id = FakeDeviceRules.Text(arguments, "id");
        if (id is null)
        {
            return FakeOutcome.Refused("Parameter 'id' is missing");
        }

        if (!_devices.TryGetValue(id, out var device))
        {
            return FakeOutcome.Refused($"Device '{id}' not found", "DeviceNotFound");
        }

        if (_builtIn.Contains(id) && FakeDeviceRules.NeedsGuest(device))
        {
            return FakeOutcome.Refused("Bus 'pcie.0' does not support hotplugging");
        }

        if (_leaving.Contains(id))
        {
            return FakeOutcome.Refused($"Device {id} is already in the process of unplug");
        }

        if (FakeDeviceRules.NeedsGuest(device) && (IsHung || RunState != "running"))
        {
            _leaving.Add(id);
            return FakeOutcome.Done();
        }

        // With a bridge go its drives, and their events come first.
        List<string> gone = [.. _devices.Values.Where(child => FakeDeviceRules.Text(child.Properties, "bus") == $"{id}.0" && device.Driver == "usb-bot").Select(child => child.Id), id];
        gone.ForEach(Take);
        return FakeOutcome.Done() with { After = [.. gone.Select(FakeEvent.Deleted)] };
    }

    private FakeOutcome SetRunning(bool running)
    {
        if (running == (RunState == "running"))
        {
            return FakeOutcome.Done();
        }

        RunState = running ? "running" : "paused";
        return running
            ? FakeOutcome.Done() with { Before = [new("RESUME")], After = [.. FinishLeaving()] }
            : FakeOutcome.Done() with { Before = [new("STOP")] };
    }

    private FakeOutcome PowerDown()
    {
        var asked = FakeOutcome.Done() with { Before = [new("POWERDOWN")] };
        return options.ShutsDownOnPowerdown && RunState == "running"
            ? asked with { After = [Shutdown(guest: true, "guest-shutdown")], Exits = true }
            : asked;
    }

    private List<FakeEvent> FinishLeaving()
    {
        var gone = _leaving.ToList();
        gone.ForEach(Take);
        return gone.ConvertAll(FakeEvent.Deleted);
    }
}
