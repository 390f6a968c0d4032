using KvmSwitch.Demo.Harness;
using KvmSwitch.Qmp;
using Xunit;

namespace KvmSwitch.SystemTests.GuestTools;

/// <summary>The guest-tools disc in a real QEMU with a guest whose agent is not paired: pairing with nothing typed.</summary>
public sealed class GuestToolsScenarios
{
    private const string Mount = "mkdir -p /mnt/disc && mount -t iso9660 -o ro /dev/sr0 /mnt/disc";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task The_agent_of_a_guest_pairs_from_the_disc_by_itself_and_the_disc_goes_away()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await host.StartDaemonAsync(Stop);
        await Refused.ByCommandAsync(host, Refused.Failed, ["demo is not running"], "guest", "tools");
        await using var guest = await BootAsync(host);

        var shown = await host.RunAsync(Stop, "guest", "tools");
        Assert.Equal("demo", (string?)shown["machine"]);
        var files = shown["files"]!.AsArray().Select(file => (string)file!).ToArray();
        await SeesDiscAsync(guest, present: true);
        await guest.Console.RunAsync(Mount, Patience, Stop);
        var there = (await guest.Console.RunAsync("ls -1 /mnt/disc", Patience, Stop)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(files.Order(StringComparer.Ordinal), there.Select(name => name.Trim()).Order(StringComparer.Ordinal));
        Assert.Contains("kvmswitch.join", there);
        await guest.Console.RunAsync("cmp /mnt/disc/kvmswitch-agent /bin/kvmswitch-agent && test -x /mnt/disc/setup.sh", Patience, Stop);

        await guest.WaitUntilLiveAsync(Stop);
        Assert.Contains("Paired with /mnt/disc/kvmswitch.join", await guest.Console.RunAsync("cat /run/agent.log", Patience, Stop), StringComparison.Ordinal);
        Assert.Equal("done", (string?)(await host.RunAsync(Stop, "give", "keyboard"))["outcome"]);

        await SeesDiscAsync(guest, present: false);

        // The guest sees the drive leave before QEMU has let go of the image.
        await Condition.HoldsAsync(async () => (await RemainsAsync(guest)).Length == 0, "nothing of the disc is left in QEMU", Patience, Stop);
        Assert.Contains("because its code is used", host.ReadLog(), StringComparison.Ordinal);
        Assert.False((await host.RunAsync(Stop, "guest", "tools", "--remove"))["removed"]!.GetValue<bool>());
    }

    [Fact(Timeout = 300_000)]
    public async Task A_disc_is_replaced_removed_runs_out_and_never_outlives_its_daemon_or_its_machine()
    {
        await using var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop);
        await host.StartDaemonAsync(Stop);
        await using var guest = await BootAsync(host);
        await guest.Console.RunAsync("kill -STOP $(cat /run/agent.pid)", Patience, Stop);

        var first = await CodeOnDiscAsync(host, guest);
        var second = await CodeOnDiscAsync(host, guest);
        Assert.NotEqual(first, second);
        Assert.True((await host.RunAsync(Stop, "guest", "tools", "--remove"))["removed"]!.GetValue<bool>());
        await SeesDiscAsync(guest, present: false);
        Refused.Sentence(await JoinAsync(host, second), Refused.Failed, "wrong, used or expired");

        await host.RunAsync(Stop, "guest", "tools", "--for", "2s");
        await SeesDiscAsync(guest, present: false);
        await Refused.ByCommandAsync(host, Refused.Usage, ["at most 10 minutes"], "guest", "tools", "--for", "11m");

        await host.RunAsync(Stop, "guest", "tools");
        await host.EndDaemonAsync(ProcessSignal.Kill, Stop);
        Assert.NotEmpty(await RemainsAsync(guest));
        await host.StartDaemonAsync(Stop);
        Assert.Empty(await RemainsAsync(guest));

        await host.RunAsync(Stop, "guest", "tools");
        await host.EndDaemonAsync(ProcessSignal.Terminate, Stop);
        Assert.Empty(await RemainsAsync(guest));
        await host.StartDaemonAsync(Stop);

        await host.RunAsync(Stop, "guest", "tools");
        await host.RunAsync(Stop, "vm", "kill", "demo");
        await Condition.HoldsAsync(() => host.ReadLog().Contains("because its QEMU ended", StringComparison.Ordinal), "the disc's code ends with QEMU", Patience, Stop);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(host.Directory, "run/guest-tools")));
    }

    /// <summary>A guest whose drivers for discs are loaded.</summary>
    private static async Task<DemoGuest> BootAsync(DemoHost host)
    {
        var guest = await DemoGuest.BootAsync(host, Stop);
        await guest.Console.RunAsync("until [ -e /run/late ]; do usleep 100000; done", Patience, Stop);
        return guest;
    }

    private static async Task<string> CodeOnDiscAsync(DemoHost host, DemoGuest guest)
    {
        await host.RunAsync(Stop, "guest", "tools");
        await SeesDiscAsync(guest, present: true);
        var code = await guest.Console.RunAsync($"{Mount} && cat /mnt/disc/kvmswitch.join && umount /mnt/disc", Patience, Stop);
        Assert.StartsWith("ksw1-", code, StringComparison.Ordinal);
        return code.Trim();
    }

    private static Task SeesDiscAsync(DemoGuest guest, bool present) => Condition.HoldsAsync(
        async () => (await guest.Console.RunAsync("if [ -b /dev/sr0 ]; then echo yes; else echo no; fi", Patience, Stop)).Trim() == (present ? "yes" : "no"),
        present ? "the guest sees the disc" : "the guest sees no disc any more", Patience, Stop);

    /// <summary>The agent of this machine here, at the address that is the host's own.</summary>
    private static Task<ProcessResult> JoinAsync(DemoHost host, string code) => ChildProcess.RunAsync(
        Path.Combine(SharedDemo.Inputs.Programs, "kvmswitch-agent"), ["join", Readdressed(code, $"127.0.0.1:{host.Port}"), "--state", Path.Combine(host.Directory, "agent")], Patience, Stop);

    private static string Readdressed(string code, string address)
    {
        var ticket = KvmSwitch.Proto.V1.PairingTicket.Parser.ParseFrom(System.Buffers.Text.Base64Url.DecodeFromChars(code.AsSpan("ksw1-".Length)));
        ticket.Addresses.Clear();
        ticket.Addresses.Add(address);
        return "ksw1-" + System.Buffers.Text.Base64Url.EncodeToString(Google.Protobuf.MessageExtensions.ToByteArray(ticket));
    }

    private static async Task<string[]> RemainsAsync(DemoGuest guest)
    {
        var devices = await guest.Qmp.ListPeripheralsAsync(Stop);
        var nodes = await guest.Qmp.ListBlockNodesAsync(Stop);
        return [.. devices.Concat(nodes).Where(name => name.StartsWith("tools-", StringComparison.Ordinal))];
    }
}
