using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>The machine's side of handoffs, on a QMP socket.</summary>
public sealed class MachineRuntimeTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_device_is_attached_at_its_port_seen_and_detached()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        Assert.Empty(await rig.ObserveAsync());

        await rig.AttachAsync(MachineRig.Keyboard);

        var plugged = rig.Qemu.Devices["kvmswitch-device-keyboard"];
        Assert.Equal(("xhci.0", "1", "A1"), (Text(plugged, "bus"), Text(plugged, "port"), Text(plugged, "serial")));
        Assert.Equal(["keyboard"], await rig.ObserveAsync());

        await rig.DetachAsync(MachineRig.Keyboard);
        Assert.False(rig.Qemu.Devices.ContainsKey("kvmswitch-device-keyboard"));
        Assert.Empty(await rig.ObserveAsync());
    }

    [Fact]
    public async Task What_is_not_there_is_detached_all_the_same()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        await rig.DetachAsync(MachineRig.Keyboard);
        Assert.Empty(await rig.ObserveAsync());
    }

    [Fact]
    public async Task A_part_that_another_configuration_left_behind_is_detached_too()
    {
        await using var rig = await MachineRig.ConnectedAsync(new()
        {
            Devices = [.. new FakeQemuOptions().Devices, new(MachineRig.IdOf(MachineRig.Keyboard) + ".3", "usb-kbd", MachineRig.At(1))],
        });
        Assert.Equal(["keyboard"], await rig.ObserveAsync());

        await rig.DetachAsync(MachineRig.Keyboard);

        Assert.Empty(await rig.ObserveAsync());
    }

    [Fact]
    public async Task Every_function_of_a_controller_is_detached()
    {
        var id = DeviceId.Parse("card");
        var functions = new DeviceRoute.Controller([PciAddress.Parse("0000:03:00.0"), PciAddress.Parse("0000:03:00.1")]);
        await using var rig = await MachineRig.ConnectedAsync(new()
        {
            Devices = [.. new FakeQemuOptions().Devices, new(QemuDevices.QemuId(id), "usb-kbd", MachineRig.At(1)), new(QemuDevices.QemuId(id, 1), "usb-kbd", MachineRig.At(2))],
        });
        Assert.Equal(["card"], await rig.ObserveAsync());

        await rig.DetachAsync(new(id, DeviceClass.Other, functions, new(0, 1)) { Slots = [0, 1] });

        Assert.Empty(await rig.ObserveAsync());
    }

    [Fact]
    public async Task What_QEMU_was_seen_not_to_list_is_attached_without_asking_again()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        var before = rig.Qemu.Commands.Count;
        await rig.Runtime.AttachAsync(MachineRig.Emulated(MachineRig.Keyboard) with { IsUnlisted = true }, CancellationToken.None).WaitAsync(MachineRig.Patience);
        Assert.Equal(["device_add", "qom-get"], rig.Qemu.Commands.Skip(before).Select(command => command.Name));
    }

    [Fact]
    public async Task What_QEMU_may_not_open_is_made_its_own_once_more_and_added_again()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        var admissions = 0;
        var attachment = MachineRig.Emulated(MachineRig.Keyboard) with { Admit = () => admissions++ };
        rig.Qemu.Next("device_add", new FakeFault.Refuse("failed to open /dev/vfio/5: Permission denied"));
        await rig.Runtime.AttachAsync(attachment, CancellationToken.None).WaitAsync(MachineRig.Patience);
        Assert.Equal(1, admissions);
        Assert.Contains(MachineRig.IdOf(MachineRig.Keyboard), rig.Qemu.Devices.Keys);
        await rig.DetachAsync(MachineRig.Keyboard);

        for (var refusal = 0; refusal < 2; refusal++) rig.Qemu.Next("device_add", new FakeFault.Refuse("group 5 is not viable"));
        var failure = await Assert.ThrowsAsync<SwitchException>(() => rig.Runtime.AttachAsync(attachment, CancellationToken.None).WaitAsync(MachineRig.Patience));
        Assert.Contains("group 5 is not viable", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_remnant_of_an_unplugged_device_counts_for_nothing_and_goes_before_the_device_is_added_again()
    {
        await using var rig = await MachineRig.ConnectedAsync(new()
        {
            Devices =
            [
                .. new FakeQemuOptions().Devices,
                new(MachineRig.IdOf(MachineRig.Keyboard), "usb-host", MachineRig.At(1), Attached: false),
            ],
        });
        Assert.Empty(await rig.ObserveAsync());

        await rig.AttachAsync(MachineRig.Keyboard);

        Assert.Equal(["device_del", "device_add"], rig.Qemu.Commands.Select(command => command.Name).Where(name => name.StartsWith("device_", StringComparison.Ordinal)));
        Assert.Equal("usb-kbd", rig.Qemu.Devices[MachineRig.IdOf(MachineRig.Keyboard)].Driver);
        Assert.Equal(["keyboard"], await rig.ObserveAsync());
    }

    [Fact]
    public async Task Devices_of_others_are_neither_seen_nor_touched_whatever_their_names()
    {
        string[] foreign = ["usbkbd0", "kvmswitch-device-", "kvmswitch-device-Key.Board_1", "kvmswitch-devices"];
        await using var rig = await MachineRig.ConnectedAsync(new()
        {
            Devices = [.. new FakeQemuOptions().Devices, .. foreign.Select(id => new FakeDevice(id, "usb-kbd", []))],
        });

        Assert.Empty(await rig.ObserveAsync());
        await rig.AttachAsync(MachineRig.Keyboard);
        Assert.Equal(["keyboard"], await rig.ObserveAsync());
        await rig.DetachAsync(MachineRig.Keyboard);

        Assert.All(foreign, id => Assert.Contains(id, rig.Qemu.Devices.Keys));
    }

    [Fact]
    public async Task A_device_of_the_host_goes_by_descriptor_and_no_copy_stays_with_us()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        using var node = rig.OpenNode();
        using var attachment = MachineRig.ByDescriptor(MachineRig.Keyboard, node);
        var closedBefore = new TaskCompletionSource<bool>();
        _ = rig.Qemu.SeenAsync("device_add").ContinueWith(_ => closedBefore.SetResult(node.IsClosed), TaskScheduler.Default);

        await rig.Runtime.AttachAsync(attachment, CancellationToken.None).WaitAsync(MachineRig.Patience);

        var plugged = rig.Qemu.Devices[MachineRig.IdOf(MachineRig.Keyboard)];
        Assert.True(plugged.HasDescriptor);
        Assert.StartsWith("/dev/fdset/", Text(plugged, "hostdevice"), StringComparison.Ordinal);
        Assert.True(await closedBefore.Task);
        Assert.Empty(rig.Qemu.FdSets);
        Assert.Equal(
            ["add-fd", "device_add", "remove-fd"],
            rig.Qemu.Commands.Select(command => command.Name).Where(name => name is "add-fd" or "device_add" or "remove-fd"));
    }

    [Fact]
    public async Task A_descriptor_that_QEMU_refuses_is_taken_back_as_well()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        rig.Qemu.Next("device_add", new FakeFault.Refuse("no"));
        using var node = rig.OpenNode();
        using var attachment = MachineRig.ByDescriptor(MachineRig.Keyboard, node);

        await Assert.ThrowsAsync<SwitchException>(() => rig.Runtime.AttachAsync(attachment, CancellationToken.None).WaitAsync(MachineRig.Patience));

        Assert.True(node.IsClosed);
        Assert.Empty(rig.Qemu.FdSets);
    }

    [Fact]
    public async Task What_QEMU_took_but_could_not_open_is_a_failure()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        var attachment = new Attachment(
            MachineRig.Keyboard, [new(0, "usb-host", MachineRig.Emulated(MachineRig.Keyboard).Parts[0].Properties, null, new(null, null))]);

        var failure = await Assert.ThrowsAsync<SwitchException>(() => rig.Runtime.AttachAsync(attachment, CancellationToken.None).WaitAsync(MachineRig.Patience));
        Assert.Contains("could not open it", failure.Message, StringComparison.Ordinal);
        await rig.DetachAsync(MachineRig.Keyboard);
        Assert.DoesNotContain(MachineRig.IdOf(MachineRig.Keyboard), rig.Qemu.Devices.Keys);
    }

    [Fact]
    public async Task What_the_guests_leds_show_is_told_for_as_long_as_the_session_lasts()
    {
        await using var rig = await MachineRig.ConnectedAsync(new() { HasVnc = true }, wantsLeds: true);
        using (var vnc = await VncAsync(rig))
        {
            await vnc.TellAsync(4, Stop);
            await rig.Told.WaitForAsync("leds Caps");
            await vnc.TellAsync(3, Stop);
            await rig.Told.WaitForAsync("leds Num, Scroll");
            rig.Qemu.DropClient();
            await rig.Told.WaitForAsync("leds unknown");
            Assert.Null(await vnc.ReadAsync(Stop));
        }

        await rig.EndsInTimeAsync(rig.Told.WaitForAsync("up"));
        using var next = await VncAsync(rig);
        await next.TellAsync(2, Stop);
        await rig.Told.WaitForAsync("leds Num");
        Assert.Empty(rig.Warnings);
    }

    [Fact]
    public async Task Nonsense_about_leds_is_warned_of_once_and_the_machine_goes_on()
    {
        await using var rig = await MachineRig.ConnectedAsync(new() { HasVnc = true }, wantsLeds: true);
        using var vnc = await VncAsync(rig);
        await vnc.SayAsync([77, 77, 77, 77], Stop);
        await rig.Told.WaitForAsync("leds unknown");

        Assert.Equal(["win: the guest's leds aren't shown any more: QEMU's VNC server sent a message of type 77"], rig.Warnings);
        await rig.AttachAsync(MachineRig.Keyboard);
        Assert.Equal(["keyboard"], await rig.ObserveAsync());
    }

    [Fact]
    public async Task A_QEMU_without_VNC_does_without()
    {
        await using var rig = await MachineRig.ConnectedAsync(wantsLeds: true);
        await rig.Told.WaitForAsync("leds unknown");
        Assert.DoesNotContain(rig.Qemu.Commands, command => command.Name is "getfd" or "add_client");
        Assert.Empty(rig.Warnings);
        await rig.AttachAsync(MachineRig.Keyboard);
    }

    [Fact]
    public async Task Leds_that_nobody_shows_are_not_asked_for()
    {
        await using var rig = await MachineRig.ConnectedAsync(new() { HasVnc = true });
        await rig.AttachAsync(MachineRig.Keyboard);
        Assert.DoesNotContain(rig.Qemu.Commands, command => command.Name is "query-vnc-servers" or "add_client");
    }

    [Fact]
    public async Task A_reset_a_panic_and_a_shutdown_are_told_at_once()
    {
        await using var rig = await MachineRig.ConnectedAsync();

        await rig.Qemu.GuestResetAsync();
        await rig.Told.WaitForAsync("lost guest-reset");
        await rig.Qemu.GuestPanicAsync();
        await rig.Told.WaitForAsync("lost guest-panic");
        await rig.Told.WaitForAsync("status");
        Assert.Equal((Power.Crashed, "the guest panicked"), (rig.Runtime.Status.Power, rig.Runtime.Status.Trouble));
        await rig.Qemu.GuestResetAsync();
        await rig.Told.WaitForAsync("status");
        Assert.Equal((Power.Running, null), (rig.Runtime.Status.Power, rig.Runtime.Status.Trouble));
        await rig.Qemu.RaiseAsync("SHUTDOWN", new JsonObject { ["guest"] = true, ["reason"] = "guest-shutdown" });
        await rig.Told.WaitForAsync("lost guest-shutdown");
    }

    [Fact]
    public async Task Pausing_and_going_on_shows_and_a_deleted_device_is_news()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        await rig.Qemu.RaiseAsync("STOP");
        await rig.Told.WaitForAsync("status");
        Assert.Equal(Power.Paused, rig.Runtime.Status.Power);
        await rig.Qemu.RaiseAsync("RESUME");
        await rig.Told.WaitForAsync("status");
        Assert.Equal(Power.Running, rig.Runtime.Status.Power);
        await rig.Qemu.RaiseAsync("DEVICE_DELETED", new JsonObject { ["device"] = "x", ["path"] = "/x" });
        await rig.Told.WaitForAsync("devices");
    }

    [Fact]
    public async Task A_paused_machine_is_found_paused()
    {
        await using var rig = await MachineRig.ConnectedAsync(new() { Running = false });
        Assert.Equal((Power.Paused, Environment.ProcessId), (rig.Runtime.Status.Power, rig.Runtime.Status.Pid));
    }

    [Fact]
    public async Task The_end_of_QEMU_is_told_and_ends_what_was_under_way()
    {
        using var folder = new Folder();
        await using var fake = FakeQemu.Start(folder["fake.sock"]);
        await using var process = await QemuProcess.StartAsync(folder, fake);
        var told = new RecordedMachine();
        await using var runtime = process.Runtime(told);
        Assert.True(await runtime.TryConnectAsync(CancellationToken.None));
        Assert.Equal(process.Pid, runtime.Status.Pid);
        fake.Next("device_del", new FakeFault.NeverAnswer());
        await runtime.AttachAsync(MachineRig.Emulated(MachineRig.Keyboard), CancellationToken.None);

        var detaching = runtime.DetachAsync(MachineRig.Keyboard, CancellationToken.None);
        await fake.SeenAsync("device_del").WaitAsync(MachineRig.Patience);
        process.Kill();

        // With QEMU went all that it held: that is no failure to detach.
        await detaching.WaitAsync(MachineRig.Patience);
        await told.WaitForAsync("lost machine-exit");
        Assert.Equal((Power.Crashed, 0), (runtime.Status.Power, runtime.Status.Pid));
        Assert.Contains("ended by itself", runtime.Status.Trouble, StringComparison.Ordinal);
        Assert.Empty(await runtime.ObserveAsync(CancellationToken.None));
    }

    [Fact]
    public async Task A_guest_that_shut_down_leaves_a_machine_that_is_off()
    {
        using var folder = new Folder();
        await using var fake = FakeQemu.Start(folder["fake.sock"]);
        await using var process = await QemuProcess.StartAsync(folder, fake);
        var told = new RecordedMachine();
        await using var runtime = process.Runtime(told);
        Assert.True(await runtime.TryConnectAsync(CancellationToken.None));

        await fake.GuestShutdownAsync();

        await told.WaitForAsync("lost guest-shutdown");
        await told.WaitForAsync("lost machine-exit");
        Assert.Equal(MachineStatus.Off, runtime.Status);
    }

    /// <summary>The daemon's connection to the VNC server, past the handshake.</summary>
    private static async Task<FakeVnc> VncAsync(MachineRig rig)
    {
        var vnc = await rig.Qemu.AcceptVncAsync(Stop).AsTask().WaitAsync(MachineRig.Patience, Stop);
        await vnc.GreetAsync(Stop).WaitAsync(MachineRig.Patience, Stop);
        return vnc;
    }

    private static string? Text(FakeDevice device, string property) => (string?)device.Properties[property];
}
