using KvmSwitch.Core;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>A QEMU that lies, hangs, or closes: each call ends, and with the failure that its callers know.</summary>
public sealed class MachineFaultTests
{
    private static readonly Dictionary<string, FakeFault> Faults = new(StringComparer.Ordinal)
    {
        ["refuses"] = new FakeFault.Refuse("not today"),
        ["is silent"] = new FakeFault.NeverAnswer(),
        ["closes at once"] = new FakeFault.CloseAfter(0),
        ["closes midway"] = new FakeFault.CloseAfter(7),
        ["talks nonsense"] = new FakeFault.Say("no JSON\r\n"),
        ["answers without an id"] = new FakeFault.AnswerUnderId(null),
        ["answers another question"] = new FakeFault.AnswerUnderId("stranger"),
        ["answers with another shape"] = new FakeFault.Return(new System.Text.Json.Nodes.JsonArray(1, "x", null!)),
    };

    public static TheoryData<string, string, string> Steps { get; } = [.. Cases()];

    [Theory]
    [MemberData(nameof(Steps))]
    public async Task A_QEMU_that_goes_wrong_ends_a_call_with_a_reason(string call, string command, string fault)
    {
        await using var rig = await MachineRig.ConnectedAsync();
        if (call != "attach") await rig.AttachAsync(MachineRig.Keyboard);
        rig.Qemu.Always(command, Faults[fault]);

        var failure = await Assert.ThrowsAsync<SwitchException>(() => rig.EndsInTimeAsync(call switch
        {
            "attach" => rig.Runtime.AttachAsync(MachineRig.Emulated(MachineRig.Keyboard), CancellationToken.None),
            "detach" => rig.Runtime.DetachAsync(MachineRig.Keyboard, CancellationToken.None),
            _ => rig.Runtime.ObserveAsync(CancellationToken.None),
        }));

        Assert.Contains("win", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure.Message);
    }

    [Theory]
    [InlineData("add-fd", "is silent")]
    [InlineData("add-fd", "closes midway")]
    [InlineData("device_add", "is silent")]
    [InlineData("remove-fd", "refuses")]
    [InlineData("remove-fd", "closes at once")]
    public async Task A_descriptor_is_closed_on_our_side_whatever_QEMU_does(string command, string fault)
    {
        await using var rig = await MachineRig.ConnectedAsync();
        rig.Qemu.Always(command, Faults[fault]);
        using var node = rig.OpenNode();
        using (var attachment = MachineRig.ByDescriptor(MachineRig.Keyboard, node))
            await Assert.ThrowsAsync<SwitchException>(() => rig.EndsInTimeAsync(rig.Runtime.AttachAsync(attachment, CancellationToken.None)));
        Assert.True(node.IsClosed);
    }

    [Fact]
    public async Task A_device_that_never_leaves_is_told_as_such()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        await rig.AttachAsync(MachineRig.Keyboard);
        rig.Qemu.Always("device_del", new FakeFault.NeverDeleted());

        var failure = await Assert.ThrowsAsync<SwitchException>(() => rig.EndsInTimeAsync(rig.Runtime.DetachAsync(MachineRig.Keyboard, CancellationToken.None)));

        Assert.Equal(Failure.TimedOut, failure.Failure);
        Assert.Equal(["keyboard"], await rig.ObserveAsync());
    }

    [Fact]
    public async Task A_device_whose_event_never_comes_is_gone_all_the_same()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        await rig.AttachAsync(MachineRig.Keyboard);
        rig.Qemu.Always("device_del", new FakeFault.DeletedSilently());
        await rig.EndsInTimeAsync(rig.Runtime.DetachAsync(MachineRig.Keyboard, CancellationToken.None));
        Assert.Empty(await rig.ObserveAsync());
    }

    [Fact]
    public async Task A_cancelled_call_ends_at_once()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        rig.Qemu.Always("device_add", new FakeFault.NeverAnswer());
        using var cancel = new CancellationTokenSource();
        var attaching = rig.Runtime.AttachAsync(MachineRig.Emulated(MachineRig.Keyboard), cancel.Token);
        await rig.Qemu.SeenAsync("device_add").WaitAsync(MachineRig.Patience);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => attaching.WaitAsync(MachineRig.Patience));
    }

    [Fact]
    public async Task A_lost_session_is_found_again_while_the_process_lives_and_nobody_is_told_of_a_loss()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        await rig.AttachAsync(MachineRig.Keyboard);

        rig.Qemu.DropClient();
        await rig.EndsInTimeAsync(rig.Told.WaitForAsync("up"));

        Assert.Equal((Power.Running, null), (rig.Runtime.Status.Power, rig.Runtime.Status.Trouble));
        Assert.Equal(["keyboard"], await rig.ObserveAsync());
        await rig.DetachAsync(MachineRig.Keyboard);
    }

    [Fact]
    public async Task While_the_session_is_lost_a_look_says_so_instead_of_seeing_nothing()
    {
        await using var rig = await MachineRig.ConnectedAsync();
        await rig.AttachAsync(MachineRig.Keyboard);
        rig.Qemu.Always("qmp_capabilities", new FakeFault.NeverAnswer());
        rig.Qemu.DropClient();
        await rig.EndsInTimeAsync(rig.Told.WaitForAsync("status"));

        var failure = await Assert.ThrowsAsync<SwitchException>(() => rig.EndsInTimeAsync(rig.Runtime.ObserveAsync(CancellationToken.None)));
        Assert.Contains("doesn't answer", failure.Message, StringComparison.Ordinal);
        Assert.Contains("session is lost", rig.Runtime.Status.Trouble, StringComparison.Ordinal);

        rig.Qemu.Always("qmp_capabilities", null);
        await rig.EndsInTimeAsync(rig.Told.WaitForAsync("up"));
        Assert.Equal(["keyboard"], await rig.ObserveAsync());
    }

    [Fact]
    public async Task A_QEMU_that_hangs_while_it_is_adopted_can_be_adopted_later()
    {
        await using var rig = MachineRig.Create();
        rig.Qemu.Always("query-status", new FakeFault.NeverAnswer());
        await Assert.ThrowsAnyAsync<QmpException>(() => rig.EndsInTimeAsync(rig.Runtime.TryConnectAsync(CancellationToken.None)));
        Assert.Equal(MachineStatus.Off, rig.Runtime.Status);

        rig.Qemu.Always("query-status", null);
        Assert.True(await rig.Runtime.TryConnectAsync(CancellationToken.None).WaitAsync(MachineRig.Patience));
    }

    [Theory]
    [InlineData("qmp_capabilities", true)]
    [InlineData("query-status", true)]
    [InlineData("qmp_capabilities", false)]
    [InlineData("query-status", false)]
    public async Task A_QEMU_that_runs_when_the_daemon_begins_but_does_not_talk_is_not_taken_for_none(string command, bool hangs)
    {
        await using var rig = MachineRig.Create();
        rig.Qemu.Always(command, hangs ? new FakeFault.NeverAnswer() : new FakeFault.CloseAfter(0));
        var adopting = rig.Runtime.AdoptAsync(CancellationToken.None);
        await rig.EndsInTimeAsync(adopting);
        Assert.True(await adopting);

        var failure = await Assert.ThrowsAsync<SwitchException>(() => rig.EndsInTimeAsync(rig.Runtime.ObserveAsync(CancellationToken.None)));
        Assert.Contains("doesn't answer", failure.Message, StringComparison.Ordinal);
        Assert.Equal((Power.Running, Environment.ProcessId), (rig.Runtime.Status.Power, rig.Runtime.Status.Pid));

        rig.Qemu.Always(command, null);
        await rig.EndsInTimeAsync(rig.Told.WaitForAsync("up"));
        Assert.Empty(await rig.ObserveAsync());
        Assert.Null(rig.Runtime.Status.Trouble);
    }

    [Fact]
    public async Task A_QEMU_of_somebody_else_that_appears_but_does_not_talk_is_known_all_the_same()
    {
        await using var rig = MachineRig.Create();
        rig.Qemu.Always("qmp_capabilities", new FakeFault.NeverAnswer());
        using var stop = new CancellationTokenSource();
        var awaiting = rig.Runtime.AwaitOthersAsync(stop.Token);
        await rig.EndsInTimeAsync(rig.Told.WaitForAsync("status"));
        Assert.Equal((Power.Running, Environment.ProcessId), (rig.Runtime.Status.Power, rig.Runtime.Status.Pid));
        Assert.Contains("doesn't answer", rig.Runtime.Status.Trouble, StringComparison.Ordinal);

        rig.Qemu.Always("qmp_capabilities", null);
        await rig.EndsInTimeAsync(rig.Told.WaitForAsync("up"));
        Assert.Null(rig.Runtime.Status.Trouble);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => awaiting.WaitAsync(MachineRig.Patience));
    }

    [Fact]
    public async Task Without_QEMU_nothing_is_adopted()
    {
        await using var rig = MachineRig.Create();
        await rig.Qemu.DisposeAsync();
        Assert.False(await rig.Runtime.AdoptAsync(CancellationToken.None).WaitAsync(MachineRig.Patience));
        Assert.Equal(MachineStatus.Off, rig.Runtime.Status);
    }

    private static IEnumerable<TheoryDataRow<string, string, string>> Cases()
    {
        (string Call, string Command)[] steps =
        [
            ("attach", "device_add"), ("attach", "qom-get"), ("detach", "qom-get"), ("detach", "device_del"),
            ("observe", "qom-list"), ("observe", "qom-get"),
        ];
        foreach (var (call, command) in steps)
        {
            // An answer is read only where there is something in it; an attached device that QEMU says not to be attached is just that.
            foreach (var fault in Faults.Keys.Where(fault => fault != "answers with another shape" || command == "qom-list"))
                yield return new(call, command, fault);
        }
    }
}
