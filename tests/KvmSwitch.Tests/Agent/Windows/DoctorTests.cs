using System.Text.Json.Nodes;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Session;
using KvmSwitch.Agent.Windows.Tray;
using Xunit;

namespace KvmSwitch.Tests.Agent.Windows;

public sealed class DoctorTests
{
    private static readonly DateTimeOffset Now = new(2030, 5, 6, 7, 8, 0, TimeSpan.Zero);

    private static readonly Findings Fine = new(
        ServiceHealth.Waiting, TrayExamples.Service with { Hotkeys = [new("ctrl+alt+h", PipeVerb.Return, [], Conflict: false)] }, null, null, Now, TrayRuns: true);

    [Fact]
    public void All_is_well() => Assert.Equal(
        """
        ok      service      The service is running.
        ok      pipe         The service answers; its version is 1.2.3.
        ok      pairing      Paired: this is machine win.
        ok      clock        The clock agrees with the host's.
        ok      certificate  The host accepts this machine's certificate.
        ok      host         The link to the host is up.
        ok      tray         The tray runs in this session.
        ok      hotkeys      In force: ctrl+alt+h.
        """,
        DoctorText.Of(Doctor.Examine(Fine)), ignoreLineEndingDifferences: true);

    [Fact]
    public void A_missing_service_is_the_one_thing_to_see_to()
    {
        var checks = Doctor.Examine(new(ServiceHealth.Missing, null, "nobody there", null, Now, TrayRuns: true));
        Assert.Equal("service", Assert.Single(checks, check => check.Outcome == CheckOutcome.Broken).Name);
        Assert.Contains("run the installer", checks[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stopped_service_is_to_be_started() => AssertBroken(Fine with { Health = ServiceHealth.Stopped, State = null }, "service", "net start KvmSwitchAgent");

    [Fact]
    public void A_service_that_runs_and_is_silent_is_to_be_restarted() => AssertBroken(Fine with { State = null, PipeTrouble = "no pipe" }, "pipe", "no pipe");

    [Theory]
    [InlineData(PipeLink.NotPaired)]
    [InlineData(PipeLink.Refused)]
    internal void A_machine_that_the_host_does_not_know_is_to_be_paired(PipeLink link) =>
        AssertBroken(Fine with { State = Fine.State! with { Link = link } }, "pairing", "kvmswitch guest tools NAME");

    [Fact]
    public void A_host_that_does_not_answer_is_to_be_looked_at() => AssertBroken(
        Fine with { State = Fine.State! with { Link = PipeLink.Unreachable, Trouble = "No route to 10.0.0.1." } }, "host", "No route to 10.0.0.1.");

    [Fact]
    public void A_clock_that_is_years_behind_is_to_be_set() => AssertBroken(
        Unreachable with { Certificate = (Now.AddYears(3), Now.AddYears(13)) }, "clock", "2033-05-06");

    [Fact]
    public void A_clock_far_from_the_hosts_is_to_be_set_though_the_link_is_up() =>
        AssertBroken(Fine with { State = Fine.State! with { Trouble = "The clock here says 2030-05-06." } }, "clock", "The clock here says 2030-05-06.");

    [Fact]
    public void A_certificate_that_has_ended_means_pairing_again() => AssertBroken(
        Unreachable with { Certificate = (Now.AddYears(-11), Now.AddYears(-1)) }, "certificate", "ended on 2029-05-06");

    [Fact]
    public void Without_a_tray_there_are_no_hotkeys()
    {
        AssertBroken(Fine with { TrayRuns = false }, "tray", "start KvmSwitch");
        AssertBroken(Fine with { TrayRuns = false }, "hotkeys", "tray");
    }

    [Fact]
    public void A_hotkey_that_another_program_has_is_named() => AssertBroken(
        Fine with { State = Fine.State! with { Hotkeys = [new("ctrl+alt+h", PipeVerb.Return, [], Conflict: true)] } }, "hotkeys", "ctrl+alt+h");

    [Fact]
    public void As_JSON_it_is_one_object()
    {
        var json = JsonNode.Parse(DoctorText.Json(Doctor.Examine(Fine with { TrayRuns = false })))!;
        Assert.False(json["ok"]!.GetValue<bool>());
        Assert.Equal(["service", "pipe", "pairing", "clock", "certificate", "host", "tray", "hotkeys"], json["checks"]!.AsArray().Select(check => (string)check!["name"]!));
        Assert.Equal("broken", (string)json["checks"]![6]!["outcome"]!);
    }

    private static Findings Unreachable => Fine with { State = Fine.State! with { Link = PipeLink.Unreachable } };

    private static void AssertBroken(Findings found, string name, string word)
    {
        var check = Doctor.Examine(found).Single(one => one.Name == name);
        Assert.Equal(CheckOutcome.Broken, check.Outcome);
        Assert.Contains(word, check.Text, StringComparison.Ordinal);
    }
}
