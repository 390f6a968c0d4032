using System.Diagnostics;
using CsCheck;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Configuration;
using KvmSwitch.Tests.Guests;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>A machine that crashes is started again, a few times: the process is real, and pauses pass when a test says so.</summary>
public sealed class CrashRestartTests : IAsyncDisposable
{
    private static readonly MachineId Win = MachineId.Parse("win");

    private readonly Folder _folder = new();
    private readonly FakeQemu _fake;
    private readonly FakeTimeProvider _time = new();
    private readonly RecordedMachine _told = new();
    private readonly RecordingLog _log = new();
    private readonly CancellationTokenSource _ending = new();
    private readonly string _program;
    private readonly MachineRuntime _runtime;
    private readonly MachinePower _power;
    private readonly Task _restarting;

    public CrashRestartTests()
    {
        File.SetUnixFileMode(_folder.Root, (UnixFileMode)Convert.ToInt32("755", 8));
        _fake = FakeQemu.Start(_folder["fake.sock"]);
        File.SetUnixFileMode(_folder["fake.sock"], (UnixFileMode)Convert.ToInt32("777", 8));
        _program = QemuProcess.Write(_folder, _fake.SocketPath);
        var paths = MachinePaths.Below(_folder.Root, _folder.Root, Win);
        var options = (ManagedMachine)Toml.Parse(
            "[machine.win]\nfirmware = \"bios\"\nnetwork = { kind = \"none\" }\nrestart = \"on-crash\"\n").Machines.Single();
        var links = new GuestLinks(TimeProvider.System);
        _runtime = new(options, paths.QmpSocket, _told, links, TimeProvider.System, NullLogger.Instance);
        _power = new(
            options, paths, DaemonOptions.Default with { Qemu = _program, QemuUser = "nobody" }, _runtime, links, new DetachedProcess(), TimeProvider.System);
        _restarting = new CrashRestart(Win, _runtime, _power, _time, _log).RunAsync(_ending.Token);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _restarting.WaitAsync(MachineRig.Patience));
        if (_runtime.Status.HasProcess) await _power.KillAsync(_ => { }, CancellationToken.None).WaitAsync(MachineRig.Patience);
        await _runtime.DisposeAsync();
        await _fake.DisposeAsync();
        _folder.Dispose();
        _log.Dispose();
        _ending.Dispose();
    }

    [Fact]
    public async Task A_machine_that_crashes_is_started_again_until_it_has_crashed_too_often()
    {
        await StartAsync();

        await CrashAsync();
        await TroubleAsync("ended by itself; its last words are in its log; starting it again in 1 s");
        await RunsAgainAfterAsync(1);

        await CrashAsync();
        await TroubleAsync("starting it again in 10 s");
        await RunsAgainAfterAsync(10);

        await CrashAsync();
        await TroubleAsync("it crashed 3 times within 10 minutes and is not started again; 'kvmswitch vm start win' does");
        Assert.Contains(_log.Lines, line => line.Level == LogLevel.Warning && line.Text.Contains("crashed 3 times", StringComparison.Ordinal));

        // Who starts it all the same begins anew.
        await StartAsync();
        await CrashAsync();
        await TroubleAsync("starting it again in 1 s");
    }

    [Fact]
    public async Task A_start_that_fails_is_another_crash()
    {
        await StartAsync();
        File.Delete(_program);

        await CrashAsync();
        await TroubleAsync("starting it again in 1 s");
        _time.Advance(TimeSpan.FromSeconds(1));
        await TroubleAsync("; starting it again in 10 s");
        Assert.Contains(_program, _runtime.Status.Trouble, StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromSeconds(10));
        await TroubleAsync("is not started again");
        Assert.Equal((Power.Crashed, 0), (_runtime.Status.Power, _runtime.Status.Pid));
    }

    [Fact]
    public async Task Stopping_a_machine_that_waits_for_its_start_calls_the_start_off()
    {
        await StartAsync();
        await CrashAsync();
        await TroubleAsync("starting it again in 1 s");
        var said = new List<string>();

        await _power.StopAsync(null, said.Add, Stop).WaitAsync(MachineRig.Patience, Stop);

        Assert.Equal(["win had crashed; it is off now and is not started again"], said);
        Assert.Equal(MachineStatus.Off, _runtime.Status);
        _time.Advance(TimeSpan.FromSeconds(1));
        await StartAsync(); // It would be refused if the machine had been started.
    }

    [Fact]
    public async Task A_machine_that_was_killed_or_stopped_stays_off()
    {
        await StartAsync();
        await _power.KillAsync(_ => { }, Stop).WaitAsync(MachineRig.Patience, Stop);
        Assert.Equal(MachineStatus.Off, _runtime.Status);
        Assert.False(_runtime.Crashes.TryRead(out _));
        Assert.Empty(_log.Lines);
    }

    [Fact]
    public void The_budget_allows_two_starts_in_any_ten_minutes() => Gen.Int[0, 900].Array[1, 30].Sample(gaps =>
    {
        var (budget, now) = (RestartBudget.Full, TimeSpan.Zero);
        var started = new List<TimeSpan>();
        foreach (var gap in gaps)
        {
            now += TimeSpan.FromSeconds(gap);
            (budget, var pause) = budget.Crashed(now);
            if (pause is null) return; // A person begins anew from here.
            started.Add(now);
            Assert.InRange(pause.Value, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10));
            Assert.True(started.Count(start => now - start < RestartBudget.Window) < RestartBudget.Limit);
        }
    });

    private Task StartAsync() => _power.StartAsync(_ => { }, Stop).WaitAsync(MachineRig.Patience, Stop);

    private async Task CrashAsync()
    {
        using var qemu = Process.GetProcessById(_runtime.Status.Pid);
        qemu.Kill();
        await UntilAsync(status => status.Power == Power.Crashed);
    }

    private async Task RunsAgainAfterAsync(int seconds)
    {
        _time.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromMilliseconds(1));
        Assert.Equal(Power.Crashed, _runtime.Status.Power);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await UntilAsync(status => status.Power == Power.Running);
    }

    private Task TroubleAsync(string words) => UntilAsync(status => status.Trouble?.Contains(words, StringComparison.Ordinal) == true);

    private async Task UntilAsync(Func<MachineStatus, bool> holds)
    {
        while (!holds(_runtime.Status)) await _told.WaitForAsync("status");
    }
}
