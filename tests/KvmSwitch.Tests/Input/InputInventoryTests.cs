using KvmSwitch.Linux;
using KvmSwitch.Linux.Input;
using Xunit;

namespace KvmSwitch.Tests.Input;

public sealed class InputInventoryTests : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("kvmswitch-input-");

    private KernelPaths Paths => new(Path.Combine(_root.FullName, "sys"), Path.Combine(_root.FullName, "dev"), Path.Combine(_root.FullName, "run"));

    public void Dispose() => _root.Delete(recursive: true);

    [Fact]
    public void Nodes_tell_their_port_even_behind_a_hub_and_clones_their_mark()
    {
        Add("pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0/0003:046D:C31C.0001", 5, 5, "Logitech USB Keyboard", "usb-0000:00:14.0-4/input0", KeyboardKeys);
        Add("pci0000:00/0000:00:14.0/usb1/1-4/1-4.2/1-4.2:1.0/0003:046D:C52B.0002", 6, 10, "Mouse", "usb-0000:00:14.0-4.2/input0", "1f0000 0 0 0 0");
        Add("platform/i8042/serio0", 1, 2, "AT Keyboard", "isa0060/serio0/input0", KeyboardKeys);
        Add("virtual", 27, 9, "KvmSwitch Logitech USB Keyboard", "kvmswitch/desk/0", KeyboardKeys);

        Assert.Equal(
            [
                "event2 input1 AT Keyboard  keys",
                "event5 input5 Logitech USB Keyboard 1-4 keys",
                "event9 input27 KvmSwitch Logitech USB Keyboard  keys clone",
                "event10 input6 Mouse 1-4.2",
            ],
            new InputInventory(Paths).All().Select(node =>
                $"{node.Event} {node.Input} {node.Name} {node.Port}{(node.HasKeys ? " keys" : "")}{(node.IsClone ? " clone" : "")}"));
    }

    [Fact]
    public void Links_lead_to_their_node()
    {
        Add("platform/i8042/serio0", 1, 2, "AT Keyboard", "", KeyboardKeys);
        Directory.CreateDirectory(Path.Combine(Paths.Dev, "input/by-id"));
        Directory.CreateDirectory(Path.Combine(Paths.Dev, "input/by-path"));
        File.CreateSymbolicLink(Path.Combine(Paths.Dev, "input/by-id/usb-K-event-kbd"), "../event2");
        File.CreateSymbolicLink(Path.Combine(Paths.Dev, "input/by-path/platform-i8042-event-kbd"), "../event2");
        File.CreateSymbolicLink(Path.Combine(Paths.Dev, "input/by-id/usb-K-mouse"), "../mouse0");
        Assert.Equal(["platform-i8042-event-kbd", "usb-K-event-kbd"], new InputInventory(Paths).All().Single().Links);
    }

    [Fact]
    public void Nonsense_is_left_out_or_read_as_nothing()
    {
        Assert.Empty(new InputInventory(Paths).All());
        Add("a", 1, 1, "Bad\u001b[31m\nname", "", "zzz not-a-number");
        Directory.CreateDirectory(Path.Combine(Paths.Sys, "class/input/event7"));
        File.CreateSymbolicLink(Path.Combine(Paths.Sys, "class/input/event8"), "../../devices/gone/input8/event8");
        File.CreateSymbolicLink(Path.Combine(Paths.Sys, "class/input/mouse0"), "../../devices/a/input/input1/mouse0");
        var node = new InputInventory(Paths).All().Single();
        Assert.Equal(("Bad[31mname", false), (node.Name, node.HasKeys));
    }

    [Fact]
    public void A_key_set_finds_its_keys_downwards()
    {
        var keys = new KeySet();
        Assert.Equal(-1, keys.AtMost(KeySet.Capacity - 1));
        foreach (var code in new[] { 0, 63, 64, 255, 0x2ff }) Assert.True(keys.Add(code));
        foreach (var code in new[] { 64, 0x300, -1, int.MaxValue }) Assert.False(keys.Add(code));
        var found = new List<int>();
        for (var code = keys.AtMost(int.MaxValue); code >= 0; code = keys.AtMost(code - 1)) found.Add(code);
        Assert.Equal([0x2ff, 255, 64, 63, 0], found);
        Assert.True(keys.HasKeyboardKey);
        foreach (var code in found.Skip(1)) Assert.True(keys.Remove(code));
        Assert.False(keys.HasKeyboardKey || keys.IsEmpty);
    }

    private const string KeyboardKeys = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";

    private void Add(string place, int input, int number, string name, string phys, string keys)
    {
        var device = Path.Combine(Paths.Sys, "devices", place, "input", $"input{input}");
        var node = Path.Combine(device, $"event{number}");
        Directory.CreateDirectory(node);
        Directory.CreateDirectory(Path.Combine(device, "capabilities"));
        File.WriteAllText(Path.Combine(device, "name"), name + "\n");
        File.WriteAllText(Path.Combine(device, "phys"), phys + "\n");
        File.WriteAllText(Path.Combine(device, "capabilities/key"), keys + "\n");
        File.CreateSymbolicLink(Path.Combine(node, "device"), "..");
        Directory.CreateDirectory(Path.Combine(Paths.Sys, "class/input"));
        File.CreateSymbolicLink(Path.Combine(Paths.Sys, $"class/input/event{number}"), $"../../devices/{place}/input/input{input}/event{number}");
    }
}
