using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>Starting and stopping our own machine: the process is real, what it says on its socket is a fake's.</summary>
public sealed class MachinePowerTests : IAsyncDisposable
{
    private static readonly MachineId Win = MachineId.Parse("win");

    private readonly Folder _folder = new();
    private readonly FakeQemu _fake;
    private readonly List<FakeQemu> _fakes = [];
    private readonly List<string> _progress = [];
    private readonly List<IAsyncDisposable> _runtimes = [];

    public MachinePowerTests()
    {
        // QEMU runs as somebody without rights when the tests run as root.
        File.SetUnixFileMode(_folder.Root, (UnixFileMode)Convert.ToInt32("755", 8));
        _fake = Fake();
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private MachinePaths Paths => MachinePaths.Below(_folder.Root, _folder.Root, Win);

    public async ValueTask DisposeAsync()
    {
        foreach (var runtime in _runtimes) await runtime.DisposeAsync();
        await _fake.DisposeAsync();
        foreach (var fake in _fakes) await fake.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_machine_starts_runs_and_shuts_its_guest_down()
    {
        var (power, runtime, told) = Create(QemuProcess.Write(_folder, _fake.SocketPath));

        await power.StartAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);

        Assert.Equal(Power.Running, runtime.Status.Power);
        Assert.NotEqual(Environment.ProcessId, runtime.Status.Pid);
        Assert.Equal(["starting QEMU 9.2.1", $"win runs, process {runtime.Status.Pid}"], _progress);
        await RefusedAsync(Failure.Refused, "is running already (process", power.StartAsync(_progress.Add, Stop));

        await power.StopAsync(null, _progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);
        await told.WaitForAsync("lost machine-exit");
        Assert.Equal(MachineStatus.Off, runtime.Status);
        Assert.Contains("no agent is live; pressing the power button", _progress);
        await RefusedAsync(Failure.Refused, "win is not running", power.StopAsync(null, _progress.Add, Stop));
    }

    [Fact]
    public async Task A_machine_that_is_stopped_can_be_started_at_once_and_a_restart_is_both()
    {
        var (power, runtime, _) = Create(QemuProcess.Write(_folder, _fake.SocketPath));
        await power.StartAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);
        var first = runtime.Status.Pid;

        await power.RestartAsync(null, AnewFrom, Stop).WaitAsync(MachineRig.Patience, Stop);

        Assert.Equal(Power.Running, runtime.Status.Power);
        Assert.NotEqual(first, runtime.Status.Pid);
        Assert.Equal(
            ["no agent is live; pressing the power button", "starting QEMU 9.2.1", $"win runs, process {runtime.Status.Pid}"], _progress.TakeLast(3));
        await power.KillAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);
        Assert.Equal(MachineStatus.Off, runtime.Status);
        await RefusedAsync(Failure.Refused, "win is not running", power.RestartAsync(null, _progress.Add, Stop));
    }

    [Fact]
    public async Task A_guest_that_ignores_the_power_button_is_quit_and_a_kill_is_no_crash()
    {
        var (power, runtime, told) = Create(QemuProcess.Write(_folder, _fake.SocketPath));
        _fake.Always("system_powerdown", new FakeFault.Return(new System.Text.Json.Nodes.JsonObject()));
        await power.StartAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);

        await power.StopAsync(TimeSpan.FromMilliseconds(20), _progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);

        Assert.Contains(_progress, line => line.StartsWith("the guest did not shut down within 0 s; telling QEMU to quit", StringComparison.Ordinal));
        Assert.Contains(_fake.Commands, command => command.Name == "quit");
        await told.WaitForAsync("lost machine-exit");
        Assert.Equal(Power.Off, runtime.Status.Power);
    }

    [Fact]
    public async Task A_killed_machine_is_off_and_not_crashed()
    {
        var (power, runtime, told) = Create(QemuProcess.Write(_folder, _fake.SocketPath));
        await power.StartAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);

        await power.KillAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);

        await told.WaitForAsync("lost machine-exit");
        Assert.Equal(MachineStatus.Off, runtime.Status);
    }

    [Fact]
    public async Task One_command_at_a_time()
    {
        var (power, _, _) = Create(QemuProcess.Write(_folder, _fake.SocketPath));
        var hold = new TaskCompletionSource();
        _fake.Next("query-status", new FakeFault.AnswerAfter(hold.Task));
        var starting = power.StartAsync(_progress.Add, Stop);
        await _fake.SeenAsync("query-status").WaitAsync(MachineRig.Patience, Stop);

        await RefusedAsync(Failure.Refused, "is being started or stopped already", power.StopAsync(null, _progress.Add, Stop));

        hold.SetResult();
        await starting.WaitAsync(MachineRig.Patience, Stop);
        await power.KillAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);
    }

    [Theory]
    [InlineData("#!/bin/sh\necho 'QEMU emulator version 6.2.0'\n", "is QEMU 6.2.0, which is too old; 7.2 or newer is needed")]
    [InlineData("#!/bin/sh\necho hello\n", "says no version of QEMU")]
    [InlineData("#!/bin/sh\n[ \"$1\" = --version ] && exec echo 'QEMU emulator version 9.2.0'\necho starting >&2\necho 'qemu: could not open disk: Permission denied' >&2\nexit 1\n", "QEMU ended at start: starting qemu: could not open disk: Permission denied (all of it in ")]
    [InlineData("#!/bin/sh\n[ \"$1\" = --version ] && exec echo 'QEMU emulator version 9.2.0'\nexit 1\n", "QEMU ended at start: it said nothing (its log is ")]
    public async Task A_QEMU_that_will_not_do_is_told_and_leaves_the_machine_off(string script, string says)
    {
        var program = _folder.Write("qemu", script);
        File.SetUnixFileMode(program, (UnixFileMode)Convert.ToInt32("755", 8));
        var (power, runtime, _) = Create(program);

        await RefusedAsync(Failure.Failed, says, power.StartAsync(_progress.Add, Stop));

        Assert.Equal((Power.Off, 0), (runtime.Status.Power, runtime.Status.Pid));
    }

    [Fact]
    public async Task A_missing_QEMU_is_told_with_the_place_to_correct_it()
    {
        var (power, _, _) = Create(_folder["nowhere"]);
        await RefusedAsync(Failure.Failed, "correct 'qemu' in the section [daemon]", power.StartAsync(_progress.Add, Stop));
    }

    [Fact]
    public async Task A_program_that_cannot_be_run_is_told()
    {
        var (power, _, _) = Create(_folder.Write("qemu", "text"));
        await RefusedAsync(Failure.Failed, "can't be run", power.StartAsync(_progress.Add, Stop));
    }

    [Fact]
    public async Task A_missing_disk_is_told_before_anything_starts()
    {
        var (power, _, _) = Create(QemuProcess.Write(_folder, _fake.SocketPath), $"disks = [{{ file = \"{_folder["disk.img"]}\" }}]");
        await RefusedAsync(Failure.Failed, $"its disk {_folder["disk.img"]} is not there", power.StartAsync(_progress.Add, Stop));
        Assert.False(Directory.Exists(Paths.RuntimeDirectory));
    }

    [Fact]
    public async Task A_QEMU_that_could_not_be_adopted_keeps_its_socket_when_a_start_is_asked_for()
    {
        Directory.CreateDirectory(Paths.RuntimeDirectory);
        await using var running = FakeQemu.Start(Paths.QmpSocket);
        running.Next("query-status", new FakeFault.Refuse("busy"));
        var (power, runtime, _) = Create(QemuProcess.Write(_folder, _fake.SocketPath));

        await RefusedAsync(Failure.Refused, "runs already, but its QEMU doesn't answer", power.StartAsync(_progress.Add, Stop));
        Assert.True(File.Exists(Paths.QmpSocket));
        await RefusedAsync(Failure.Refused, "is running already", power.StartAsync(_progress.Add, Stop));
        Assert.Equal(Power.Running, runtime.Status.Power);
    }

    [Fact]
    public async Task The_socket_of_a_dead_QEMU_is_no_hindrance()
    {
        Directory.CreateDirectory(Paths.RuntimeDirectory);
        await using var dead = FakeQemu.Start(Paths.QmpSocket);
        dead.Kill();
        var (power, runtime, _) = Create(QemuProcess.Write(_folder, _fake.SocketPath));

        await power.StartAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);

        Assert.Equal(Power.Running, runtime.Status.Power);
        await power.KillAsync(_progress.Add, Stop).WaitAsync(MachineRig.Patience, Stop);
    }

    /// <summary>A fake that was shut down is over; the next QEMU needs another.</summary>
    private void AnewFrom(string line)
    {
        _progress.Add(line);
        if (line.StartsWith("starting", StringComparison.Ordinal)) _fakes.Add(Fake());
    }

    private FakeQemu Fake()
    {
        var fake = FakeQemu.Start(_folder["fake.sock"]);
        File.SetUnixFileMode(_folder["fake.sock"], (UnixFileMode)Convert.ToInt32("777", 8));
        return fake;
    }

    private static async Task RefusedAsync(Failure failure, string says, Task call)
    {
        var refusal = await Assert.ThrowsAsync<SwitchException>(() => call.WaitAsync(MachineRig.Patience, Stop));
        Assert.Equal(failure, refusal.Failure);
        Assert.Contains(says, refusal.Message, StringComparison.Ordinal);
    }

    private (MachinePower Power, MachineRuntime Runtime, RecordedMachine Told) Create(string program, string more = "")
    {
        var options = (ManagedMachine)Toml.Parse($"[machine.win]\nfirmware = \"bios\"\nnetwork = {{ kind = \"none\" }}\n{more}\n").Machines.Single();
        var (told, links) = (new RecordedMachine(), new GuestLinks(TimeProvider.System));
        var runtime = new MachineRuntime(options, Paths.QmpSocket, told, links, TimeProvider.System, NullLogger.Instance);
        _runtimes.Add(runtime);
        var daemon = DaemonOptions.Default with { Qemu = program, QemuUser = "nobody" };
        return (new(options, Paths, daemon, runtime, links, new DetachedProcess(), TimeProvider.System), runtime, told);
    }
}
