using System.Text.Json.Nodes;
using KvmSwitch.Qmp;

namespace KvmSwitch.Testing.Qmp;

/// <summary>
/// What our client and a QEMU do together, for a fake and the real one alike. Each scenario gets the QMP socket of a fresh machine, q35
/// with a <c>qemu-xhci</c> of id <c>xhci</c> and a free <c>pcie-root-port</c> of id <c>rp1</c>, started with <c>-S</c>.
/// </summary>
public static class QmpScenarios
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(20);

    /// <summary>All scenarios by name.</summary>
    public static IReadOnlyDictionary<string, Func<string, Task>> All { get; } = new Dictionary<string, Func<string, Task>>(StringComparer.Ordinal)
    {
        ["greets_with_its_version_and_process"] = path => WithAsync(path, Greets),
        ["serves_one_client_at_a_time"] = ServesOneClientAtATime,
        ["an_unknown_command_is_refused_and_the_session_goes_on"] = path => WithAsync(path, UnknownCommand),
        ["a_device_comes_and_goes"] = path => WithAsync(path, DeviceComesAndGoes),
        ["bad_devices_are_refused"] = path => WithAsync(path, BadDevices),
        ["a_removal_is_told_to_who_listened_before"] = path => WithAsync(path, RemovalIsTold),
        ["a_pci_device_waits_for_its_guest"] = path => WithAsync(path, PciDeviceWaits),
        ["descriptors_are_added_and_removed"] = path => WithAsync(path, Descriptors),
        ["the_machine_runs_and_stops"] = path => WithAsync(path, RunsAndStops),
        ["reset_and_powerdown_are_told"] = path => WithAsync(path, ResetAndPowerdown),
        ["quit_ends_the_session"] = path => WithAsync(path, Quit),
        ["many_commands_at_once_each_get_their_own_answer"] = path => WithAsync(path, ManyAtOnce),
        ["an_abandoned_command_leaves_no_trace"] = path => WithAsync(path, Abandoned),
        ["long_lines_go_both_ways"] = path => WithAsync(path, LongLines),
        ["input_events_need_a_running_machine"] = path => WithAsync(path, Keys),
    };

    private static async Task WithAsync(string path, Func<QmpClient, Task> scenario)
    {
        await using var client = await QmpClient.ConnectAsync(path);
        await scenario(client);
    }

    private static async Task Greets(QmpClient client)
    {
        Require.That(client.Greeting.Version >= new Version(7, 2), "the version is read from the greeting");
        Require.Equal(client.Greeting.Version, (await client.QueryVersionAsync()).Version);
        Require.That(client.PeerProcessId > 1, "the peer's process is known");
    }

    private static async Task ServesOneClientAtATime(string path)
    {
        var hasty = new QmpClientOptions { ConnectDeadline = TimeSpan.FromMilliseconds(300) };
        await using (await QmpClient.ConnectAsync(path))
        {
            var refused = await Require.ThrowsAsync<QmpConnectException>(() => QmpClient.ConnectAsync(path, hasty));
            Require.That(
                refused.Message.Contains("another program is probably connected to it", StringComparison.Ordinal), refused.Message);
        }

        await using var next = await QmpClient.ConnectAsync(path);
        await next.QueryStatusAsync();
    }

    private static async Task UnknownCommand(QmpClient client)
    {
        var refused = await Require.ThrowsAsync<QmpCommandException>(() => client.ExecuteAsync("x-nothing"));
        Require.Equal(QmpErrorClass.CommandNotFound, refused.ErrorClass);
        Require.Equal("x-nothing", refused.Command);
        await client.QueryStatusAsync();
    }

    private static async Task DeviceComesAndGoes(QmpClient client)
    {
        await client.DeviceAddAsync("usb-kbd", "k1", OnPort("2"));
        Require.That((await client.ListPeripheralsAsync()).Contains("k1", StringComparer.Ordinal), "the device is listed");
        Require.That((await client.QomGetAsync("/machine/peripheral/k1", "attached")).GetBoolean(), "the device says that it is attached");
        Require.Equal("usb-kbd", (await client.QomGetAsync("/machine/peripheral/k1", "type")).GetString());
        Require.Equal(QmpRemoval.Deleted, await client.DeviceDelAndWaitAsync("k1", _patience));
        Require.That(!(await client.ListPeripheralsAsync()).Contains("k1", StringComparer.Ordinal), "the device is gone");
        Require.Equal(QmpRemoval.AlreadyGone, await client.DeviceDelAndWaitAsync("k1", _patience));
        await client.DeviceAddAsync("usb-kbd", "k1", OnPort("2"));
    }

    private static async Task BadDevices(QmpClient client)
    {
        await client.DeviceAddAsync("usb-kbd", "k1", OnPort("2"));
        await Refused(QmpErrorClass.GenericError, () => client.DeviceAddAsync("usb-kbd", "k1", OnPort("3")));
        await Refused(QmpErrorClass.GenericError, () => client.DeviceAddAsync("usb-kbd", "k2", OnPort("2")));
        await Refused(QmpErrorClass.GenericError, () => client.DeviceAddAsync("usb-kbd", "k2", new JsonObject { ["bus"] = "nowhere.0" }));
        await Refused(QmpErrorClass.GenericError, () => client.DeviceAddAsync("nonsense", "k2"));
        // From 9.2 on (where device_add no longer goes through QemuOpts) any id is taken; a fake is as strict as the oldest.
        if (client.Greeting.Version < new Version(9, 2)) await Refused(QmpErrorClass.GenericError, () => client.DeviceAddAsync("usb-kbd", "2k"));
        await Refused(QmpErrorClass.GenericError, () => client.DeviceDelAsync("xhci"));
        await Refused(QmpErrorClass.DeviceNotFound, () => client.DeviceDelAsync("k2"));
        await Refused(QmpErrorClass.DeviceNotFound, () => client.QomListAsync("/machine/peripheral/k2"));
        await Refused(QmpErrorClass.GenericError, () => client.QomGetAsync("/machine/peripheral/k1", "nonsense"));
        await Refused(QmpErrorClass.DeviceNotFound, () => client.QomGetAsync("/objects/k2", "evdev"));
        Require.Equal("k1,rp1,xhci", string.Join(',', (await client.ListPeripheralsAsync()).Order(StringComparer.Ordinal)));
    }

    private static async Task RemovalIsTold(QmpClient client)
    {
        await client.DeviceAddAsync("usb-mouse", "m1", OnPort("1"));
        using var listener = client.Listen(happened => happened.Name == "DEVICE_DELETED");
        await client.DeviceDelAsync("m1");
        var told = await listener.WaitForAsync(happened => happened.Text("device") == "m1", _patience);
        Require.Equal("/machine/peripheral/m1", told.Text("path"));
        Require.That(told.Timestamp > DateTimeOffset.UnixEpoch, "the event has its time");
    }

    private static async Task PciDeviceWaits(QmpClient client)
    {
        await client.DeviceAddAsync("virtio-rng-pci", "r1", new JsonObject { ["bus"] = "rp1" });
        await Require.ThrowsAsync<QmpTimeoutException>(() => client.DeviceDelAndWaitAsync("r1", TimeSpan.FromMilliseconds(300)));
        Require.That((await client.ListPeripheralsAsync()).Contains("r1", StringComparer.Ordinal), "no guest runs that could let go of it");
        await client.SystemResetAsync();
        using var listener = client.Listen();
        while ((await client.ListPeripheralsAsync()).Contains("r1", StringComparer.Ordinal))
        {
            await listener.WaitForAsync(happened => happened.Text("device") == "r1", _patience);
        }
    }

    private static async Task Descriptors(QmpClient client)
    {
        using var file = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        var first = await client.AddFdAsync(file);
        var second = await client.AddFdAsync(file, 7);
        Require.That(first.FdSetId != 7, "QEMU chose a set of its own");
        Require.Equal("/dev/fdset/7", second.Path);
        await client.RemoveFdAsync(7, second.Fd);
        await client.RemoveFdAsync(first.FdSetId);
        await Refused(QmpErrorClass.GenericError, () => client.RemoveFdAsync(99));
        await Refused(QmpErrorClass.GenericError, () => client.ExecuteAsync("add-fd"));
        await Refused(
            QmpErrorClass.GenericError,
            () => client.DeviceAddAsync("usb-host", "h1", new JsonObject { ["bus"] = "xhci.0", ["hostdevice"] = "/dev/fdset/99" }));
    }

    private static async Task RunsAndStops(QmpClient client)
    {
        using var listener = client.Listen();
        Require.Equal(QmpRunState.PreLaunch, (await client.QueryStatusAsync()).State);
        await client.ContAsync();
        await listener.WaitForAsync(happened => happened.Name == "RESUME", _patience);
        var status = await client.QueryStatusAsync();
        Require.That(status is { State: QmpRunState.Running, Running: true, RawState: "running" }, "the machine runs");
        await client.StopAsync();
        await listener.WaitForAsync(happened => happened.Name == "STOP", _patience);
        Require.Equal(QmpRunState.Paused, (await client.QueryStatusAsync()).State);
    }

    private static async Task ResetAndPowerdown(QmpClient client)
    {
        using var listener = client.Listen();
        await client.SystemResetAsync();
        var reset = await listener.WaitForAsync(happened => happened.Name == "RESET", _patience);
        Require.Equal("host-qmp-system-reset", reset.Text("reason"));
        await client.SystemPowerdownAsync();
        await listener.WaitForAsync(happened => happened.Name == "POWERDOWN", _patience);
    }

    private static async Task Quit(QmpClient client)
    {
        using var listener = client.Listen();
        await client.QuitAsync();
        var shutdown = await listener.WaitForAsync(happened => happened.Name == "SHUTDOWN", _patience);
        Require.Equal("host-qmp-quit", shutdown.Text("reason"));
        var reason = await client.Disconnected.WaitAsync(_patience);
        Require.Same(reason, await Require.ThrowsAsync<QmpDisconnectedException>(() => client.QueryStatusAsync()));
        Require.Same(
            reason, await Require.ThrowsAsync<QmpDisconnectedException>(() => listener.WaitForAsync(_ => false, _patience)));
    }

    private static async Task ManyAtOnce(QmpClient client)
    {
        for (var number = 1; number <= 4; number++)
        {
            await client.DeviceAddAsync("usb-kbd", $"k{number}", OnPort($"{number}"));
        }

        var asked = Enumerable.Range(0, 60).Select(async index =>
        {
            var port = $"{(index % 4) + 1}";
            return (port, Answer: await client.QomGetAsync($"/machine/peripheral/k{port}", "port"));
        });
        foreach (var (port, answer) in await Task.WhenAll(asked))
        {
            Require.Equal(port, answer.GetString());
        }
    }

    private static async Task Abandoned(QmpClient client)
    {
        // QEMU may be faster than our change of mind, also by a hair, so that the answer is there and unread: then once more.
        for (var attempt = 0; attempt < 500; attempt++)
        {
            using var impatient = new CancellationTokenSource();
            var abandoned = client.DeviceAddAsync("usb-kbd", "k1", OnPort("1"), impatient.Token);
            await impatient.CancelAsync();
            await Task.WhenAny(abandoned);
            if (!abandoned.IsCanceled) await abandoned;
            Require.Equal(QmpRunState.PreLaunch, (await client.QueryStatusAsync()).State);
            Require.That((await client.ListPeripheralsAsync()).Contains("k1", StringComparer.Ordinal), "it was carried out nevertheless");
            if (client.IgnoredReplies > 0)
            {
                Require.Equal(1L, client.IgnoredReplies);
                return;
            }

            await client.DeviceDelAndWaitAsync("k1", _patience);
        }

        Require.That(false, "one command in 500 is abandoned before its answer");
    }

    private static async Task LongLines(QmpClient client)
    {
        var driver = new string('d', 100_000);
        var refused = await Require.ThrowsAsync<QmpCommandException>(() => client.DeviceAddAsync(driver, "k1"));
        Require.That(refused.Description.Contains(driver, StringComparison.Ordinal), "the whole name comes back");
    }

    private static async Task Keys(QmpClient client)
    {
        await client.SendKeyAsync("ctrl", "a");
        await Refused(QmpErrorClass.GenericError, () => client.InputSendEventAsync([QmpInput.Key("b", down: true)]));
        await client.ContAsync();
        await client.InputSendEventAsync([QmpInput.Key("b", down: true), QmpInput.Key("b", down: false)]);
    }

    private static JsonObject OnPort(string port) => new() { ["bus"] = "xhci.0", ["port"] = port };

    private static async Task Refused(string errorClass, Func<Task> command) =>
        Require.Equal(errorClass, (await Require.ThrowsAsync<QmpCommandException>(command)).ErrorClass);
}
