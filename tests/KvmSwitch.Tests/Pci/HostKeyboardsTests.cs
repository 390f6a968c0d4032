using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;
using Xunit;

namespace KvmSwitch.Tests.Pci;

public sealed class HostKeyboardsTests : IDisposable
{
    /// <summary>Of a real keyboard: letters in the lowest word, which comes last.</summary>
    private const string Keyboard = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";
    private const string Wide = "3f000303ff00000 1f1f1f1f1f1f1f1f 1e1e1e1e1e1e1e1e 483ffff17aff32d0 bfd4444600000000 1000000000000001 130ff38b17c0070f ffff7bfad941dfff " +
        "febeffdfffefffff fffffffffffffffe";
    private const string Mouse = "70000 0 0 0 0";
    private readonly SysfsTree _tree = new();

    public HostKeyboardsTests() => ReferenceSetUp.AddTo(_tree.Pci);

    private HostKeyboards Keyboards => new(_tree.Paths);

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void Told_by_their_keys_with_port_and_function()
    {
        Add("0000:00:1a.0", "usb1/1-1/1-1.2/1-1.2:1.0/0003:046D:C31C.0001/input/input3", "event3", Keyboard, "Logi\u001b[31m K120");
        Add("0000:00:1a.0", "usb1/1-1/1-1.3/1-1.3:1.0/0003:046D:C077.0002/input/input4", "event4", Mouse, "Mouse");

        var keyboard = Assert.Single(Keyboards.All());

        Assert.Equal(("input/event3", "Logi[31m K120", UsbPort.Parse("1-1.2")), (keyboard.Node, keyboard.Name, keyboard.Port));
        Assert.Equal(["0000:00:1a.0"], keyboard.Functions.Select(f => f.Value));
    }

    [Fact]
    public void One_with_many_keys_is_read_to_its_end()
    {
        Add("0000:00:1a.0", "usb1/1-1/1-1:1.0/0003:1B1C:1B2D.0001/input/input3", "event3", Wide, "Many");

        Assert.Single(Keyboards.All());
    }

    [Fact]
    public void Virtual_ones_do_not_count_and_PS2_is_behind_no_function()
    {
        Add(null, "devices/virtual/input/input9", "event9", Keyboard, "clone");
        Add(null, "devices/platform/i8042/serio0/input/input0", "event0", Keyboard, "AT Translated Set 2 keyboard");

        var keyboard = Assert.Single(Keyboards.All());

        Assert.Equal("input/event0", keyboard.Node);
        Assert.Null(keyboard.Port);
        Assert.Empty(keyboard.Functions);
    }

    [Fact]
    public void Those_behind_a_route_are_the_ones_that_would_leave_with_it()
    {
        Add("0000:00:1a.0", "usb1/1-1/1-1:1.0/0003:046D:C31C.0001/input/input3", "event3", Keyboard, "a");
        Add("0000:00:1d.0", "usb2/2-1/2-1:1.0/0003:046D:C31C.0002/input/input4", "event4", Keyboard, "b");

        Assert.Equal(["a"], Keyboards.Behind(new([PciAddress.Parse("0000:00:1a.0")])).Select(k => k.Name));
        Assert.Equal(["a", "b"], Keyboards.All().Select(k => k.Name));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("zz")]
    [InlineData("fffffffffffffffffff")]
    public void Capabilities_that_make_no_sense_make_no_keyboard(string keys)
    {
        Add("0000:00:1a.0", "usb1/1-1/1-1:1.0/0003:046D:C31C.0001/input/input3", "event3", keys, "a");

        Assert.Empty(Keyboards.All());
    }

    private void Add(string? function, string path, string node, string keys, string name)
    {
        (string, string)[] attributes = [("capabilities/key", keys), ("name", name)];
        var input = function is null ? _tree.Pci.AddElsewhere("input", path, attributes) : _tree.Pci.AddBelow(function, "input", path, attributes);
        var below = Path.GetRelativePath(_tree.Paths.Sys, input);
        Directory.CreateSymbolicLink(Path.Combine(_tree.Pci.AddElsewhere("input", $"{below}/{node}"), "device"), "..");
    }
}
