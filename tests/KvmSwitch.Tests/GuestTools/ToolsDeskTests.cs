using System.Text.Json.Nodes;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.GuestTools;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Daemon;
using Xunit;

namespace KvmSwitch.Tests.GuestTools;

/// <summary>The guest-tools disc, from its showing to its end.</summary>
public sealed class ToolsDeskTests
{
    private static readonly string[] Steps = ["add-fd", "blockdev-add", "remove-fd", "device_add", "device_add", "qom-set"];

    public static TheoryData<string, int> Failures => new()
    {
        { "add-fd", 0 }, { "blockdev-add", 0 }, { "device_add", 1 }, { "qom-set", 0 }, { "qom-get", 0 },
    };

    [Fact]
    public async Task A_disc_is_a_CD_drive_on_a_USB_port_that_no_device_uses_read_only_and_by_descriptor()
    {
        await using var rig = await ToolsRig.CreateAsync(null, MachineRig.Virtual("keyboard", 8), MachineRig.Virtual("mouse", 1));

        var shown = await rig.ShowAsync();

        Assert.Equal(["kvmswitch.join", "README.txt", "kvmswitch-agent.msi", "setup.cmd", "autorun.inf", "kvmswitch-agent", "setup.sh"], shown.Files);
        Assert.Empty(shown.Missing);
        Assert.Equal(Steps, rig.Qemu.Commands.Select(command => command.Name).Where(Steps.Contains));
        var node = rig.Qemu.Commands.Single(command => command.Name == "blockdev-add").Arguments;
        Assert.Equal(("tools-kvmswitch-iso", true), ((string?)node["node-name"], (bool?)node["read-only"]));
        Assert.StartsWith("/dev/fdset/", (string?)node["filename"], StringComparison.Ordinal);
        var bridge = rig.Qemu.Devices["tools-kvmswitch"];
        Assert.Equal(("usb-bot", "xhci.0", "7", true), (bridge.Driver, (string?)bridge.Properties["bus"], (string?)bridge.Properties["port"], bridge.Attached));
        var drive = rig.Qemu.Devices["tools-kvmswitch-cd"];
        Assert.Equal(("scsi-cd", "tools-kvmswitch.0", "tools-kvmswitch-iso"), (drive.Driver, (string?)drive.Properties["bus"], (string?)drive.Properties["drive"]));
        Assert.Empty(rig.Qemu.FdSets);
    }

    [Fact]
    public async Task The_switcher_takes_it_for_nothing_of_its_own()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync();
        Assert.Empty(await rig.Machine.ObserveAsync());
        Assert.DoesNotContain(rig.Qemu.Devices.Keys.Where(id => id.StartsWith("tools-", StringComparison.Ordinal)), QemuDevices.IsOurs);
    }

    [Fact]
    public async Task A_second_disc_replaces_the_first_whose_code_is_void()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync();
        await rig.ShowAsync();

        Assert.Single(rig.Qemu.BlockNodes);
        Assert.Equal(Redemption.Wrong, rig.Redeem(0));
        Assert.Equal(Redemption.Accepted, rig.Redeem(1));
    }

    [Fact]
    public async Task It_goes_away_when_its_time_is_over_and_its_code_is_void()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync(TimeSpan.FromSeconds(20));
        rig.Machine.Time.Advance(TimeSpan.FromSeconds(19));
        Assert.False(rig.IsClean);

        await rig.GoneAsync();

        Assert.Equal(Redemption.Wrong, rig.Redeem(0));
        // Whoever asks before QEMU's last answer was read is told that there was one.
        await rig.RemoveAsync();
        Assert.False(await rig.RemoveAsync());
    }

    [Fact]
    public async Task It_goes_away_when_a_guest_has_paired_with_it_and_its_installer_has_had_time_to_end()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync();
        var started = rig.Machine.Time.GetTimestamp();
        Assert.Equal(Redemption.Accepted, rig.Redeem(0));

        await rig.GoneAsync();

        Assert.InRange(rig.Machine.Time.GetElapsedTime(started), ToolsDesk.Linger, ToolsDesk.MaxLifetime / 2);
    }

    [Fact]
    public async Task It_goes_away_when_a_code_to_type_takes_the_place_of_its_own()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync();
        var typed = rig.Codes.CreateTicket(MachineRig.Win, PairingDesk.DefaultLifetime);

        await rig.GoneAsync();

        Assert.False(typed.End.IsCompleted);
        Assert.Equal(Redemption.Wrong, rig.Redeem(0));
    }

    [Fact]
    public async Task It_is_taken_away_at_once_on_request()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync();

        Assert.True(await rig.RemoveAsync());

        Assert.True(rig.IsClean);
        Assert.Equal(Redemption.Wrong, rig.Redeem(0));
        Assert.False(await rig.RemoveAsync());
    }

    [Fact]
    public async Task It_goes_away_with_the_daemon()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync();
        await rig.Desk.DisposeAsync().AsTask().WaitAsync(MachineRig.Patience);
        Assert.True(rig.IsClean);
        Assert.Equal(Redemption.Wrong, rig.Redeem(0));
    }

    [Fact]
    public async Task What_an_earlier_daemon_left_is_taken_away_when_QEMU_is_adopted()
    {
        await using var rig = await ToolsRig.CreateAsync(new()
        {
            Devices =
            [
                .. new FakeQemuOptions().Devices,
                new(QemuToolsDisc.Bridge, "usb-bot", MachineRig.At(8)),
                new(QemuToolsDisc.Drive, "scsi-cd", new JsonObject { ["bus"] = "tools-kvmswitch.0" }),
            ],
        });
        Assert.True(rig.IsClean);
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Of_a_disc_that_QEMU_refuses_nothing_is_left(string command, int after)
    {
        await using var rig = await ToolsRig.CreateAsync();
        for (var i = 0; i < after; i++) rig.Qemu.Next(command, new FakeFault.AnswerAfter(Task.CompletedTask));
        rig.Qemu.Next(command, new FakeFault.Refuse("no"));

        var refused = await Assert.ThrowsAsync<SwitchException>(() => rig.ShowAsync());

        Assert.Contains("showing the disc to win failed", refused.Message, StringComparison.Ordinal);
        Assert.Equal(Redemption.Wrong, rig.Redeem(0));
        Assert.True(rig.IsClean);
    }

    [Fact]
    public async Task A_disc_that_can_not_be_made_takes_the_earlier_one_with_it()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync();
        rig.Images.Failure = new(Failure.Failed, "the disc can't be made: no space");

        var refused = await Assert.ThrowsAsync<SwitchException>(() => rig.ShowAsync());

        Assert.Equal("the disc can't be made: no space", refused.Message);
        Assert.True(rig.IsClean);
        Assert.All([0, 1], disc => Assert.Equal(Redemption.Wrong, rig.Redeem(disc)));
    }

    [Fact]
    public async Task A_QEMU_that_does_not_let_go_is_asked_again_and_the_code_is_void_at_once()
    {
        await using var rig = await ToolsRig.CreateAsync();
        await rig.ShowAsync(TimeSpan.FromSeconds(20));
        rig.Qemu.Next("device_del", new FakeFault.Refuse("not now"));
        rig.Machine.Time.Advance(TimeSpan.FromSeconds(20));
        await rig.Qemu.SeenAsync("device_del").WaitAsync(MachineRig.Patience);
        Assert.Equal(Redemption.Wrong, rig.Redeem(0));
        Assert.False(rig.IsClean);

        await rig.GoneAsync();
    }

    [Fact]
    public async Task Where_somebody_else_has_taken_the_port_the_next_one_is_used()
    {
        await using var rig = await ToolsRig.CreateAsync(new()
        {
            Devices = [.. new FakeQemuOptions().Devices, new("foreign", "usb-tablet", MachineRig.At(8))],
        });
        await rig.ShowAsync();
        Assert.Equal("7", (string?)rig.Qemu.Devices["tools-kvmswitch"].Properties["port"]);
    }

    [Fact]
    public async Task Without_a_free_port_nothing_is_shown()
    {
        await using var rig = await ToolsRig.CreateAsync(null, [.. Enumerable.Range(1, 8).Select(port => MachineRig.Virtual($"device{port}", (byte)port))]);
        var refused = await Assert.ThrowsAsync<SwitchException>(() => rig.ShowAsync());
        Assert.Equal(Failure.Refused, refused.Failure);
        Assert.Contains("no USB port left", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(601)]
    public async Task It_stays_for_ten_minutes_at_most(int seconds)
    {
        await using var rig = await ToolsRig.CreateAsync();
        var refused = await Assert.ThrowsAsync<SwitchException>(() => rig.ShowAsync(TimeSpan.FromSeconds(seconds)));
        Assert.Equal((Failure.Usage, "the disc stays for more than nothing and at most 10 minutes"), (refused.Failure, refused.Message));
    }

    [Fact]
    public async Task What_is_missing_is_told_and_with_nothing_to_install_there_is_no_disc()
    {
        await using var rig = await ToolsRig.CreateAsync();
        rig.Lose(ToolFiles.WindowsInstallerName);
        var shown = await rig.ShowAsync();
        Assert.Equal(["kvmswitch.join", "README.txt", "kvmswitch-agent", "setup.sh"], shown.Files);
        Assert.StartsWith("nothing for Windows: kvmswitch-agent.msi is not in ", Assert.Single(shown.Missing), StringComparison.Ordinal);

        rig.Lose(ToolFiles.LinuxAgentName);
        var refused = await Assert.ThrowsAsync<SwitchException>(() => rig.ShowAsync());
        Assert.StartsWith("there are no guest tools in ", refused.Message, StringComparison.Ordinal);
    }
}
