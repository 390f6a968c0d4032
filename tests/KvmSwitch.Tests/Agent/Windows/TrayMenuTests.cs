using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Tray;
using Xunit;
using static KvmSwitch.Tests.Agent.Windows.TrayExamples;

namespace KvmSwitch.Tests.Agent.Windows;

public sealed class TrayMenuTests
{
    private static readonly Texts English = Texts.Load("en");

    [Fact]
    public void A_linked_machine_has_everything_in_its_menu() => Assert.Equal(
        """
        Give back to the host -> Return
        Ask for the keyboard (off) -> Request keyboard
        --
        [x] Keyboard -> Return keyboard
        [x] trackball -> Return trackball
        USB audio (moving) (off) -> Request audio
        R&D drive -> Request bluray
        [x] desk: Keyboard, trackball -> Return desk
        sound: Keyboard, USB audio (moving) (off) -> Request sound
        --
        win: the keyboard is here (off)
        Hotkeys
          ctrl+alt+h: give everything back (off)
          ctrl+alt+k: give keyboard back (does not work: another program has it) (off)
          ctrl+alt+b: ask for bluray, audio (off)
        --
        About KvmSwitch -> About
        """,
        Draw(TrayMenu.Of(Told(Service), English)), ignoreLineEndingDifferences: true);

    [Fact]
    public void The_same_in_Japanese() => Assert.Equal(
        """
        ホストに返す -> Return
        キーボードを要求する (off) -> Request keyboard
        --
        [x] Keyboard -> Return keyboard
        [x] trackball -> Return trackball
        USB audio（切り替え中） (off) -> Request audio
        R&D drive -> Request bluray
        [x] desk：Keyboard, trackball -> Return desk
        sound：Keyboard, USB audio（切り替え中） (off) -> Request sound
        --
        win：キーボードはこちら側です (off)
        ホットキー
          ctrl+alt+h：すべて返す (off)
          ctrl+alt+k：keyboard を返す（使えません：ほかのプログラムが使用中） (off)
          ctrl+alt+b：bluray, audio を要求する (off)
        --
        KvmSwitch について -> About
        """,
        Draw(TrayMenu.Of(Told(Service), Texts.Load("ja"))), ignoreLineEndingDifferences: true);

    [Theory]
    [InlineData(ServiceHealth.Waiting, "Waiting for the KvmSwitch service (off)")]
    [InlineData(ServiceHealth.Missing, "The KvmSwitch service is not installed (off)")]
    [InlineData(ServiceHealth.Stopped, "The KvmSwitch service is not running (off)\nStart the KvmSwitch service -> StartService")]
    internal void Without_a_service_it_says_so_and_what_to_do(ServiceHealth health, string told) => Assert.Equal(
        $"""
        Give back to the host (off) -> Return
        Ask for the keyboard (off)
        --
        No devices to switch (off)
        --
        {told}
        Hotkeys
          None (off)
        --
        About KvmSwitch -> About
        """,
        Draw(TrayMenu.Of(new(health, null), English)), ignoreLineEndingDifferences: true);

    [Theory]
    [InlineData(PipeLink.NotPaired, null, "Not paired with a host (off)\nHow to pair… -> TellPairing")]
    [InlineData(PipeLink.Refused, "revoked", "win: the host no longer accepts this machine (off)\nHow to pair again… -> TellPairing")]
    [InlineData(PipeLink.Connected, "The clock here says 2031-01-01.", "win: linked, all devices are at the host (off)\nThe clock here says 2031-01-01. (off)")]
    [InlineData(PipeLink.Unreachable, "Nobody listens at 10.0.0.1.", "win: the host does not answer (off)\nNobody listens at 10.0.0.1. (off)")]
    internal void What_is_wrong_is_told_with_what_to_do(PipeLink link, string? trouble, string told) =>
        Assert.Contains($"\n--\n{told}\nHotkeys\n", Draw(TrayMenu.Of(Told(link, trouble), English)), StringComparison.Ordinal);

    [Fact]
    public void Nothing_can_be_chosen_while_the_host_does_not_answer()
    {
        var menu = TrayMenu.Of(Told(Service with { Link = PipeLink.Unreachable }), English);
        Assert.DoesNotContain(menu, entry => entry is { Enabled: true, Action: TrayAction.Ask });
    }

    [Fact]
    public void The_keyboard_can_be_asked_for_when_it_is_at_the_host_and_allowed()
    {
        var asked = TrayMenu.Of(Linked(Keyboard with { Here = false }), English)[1];
        Assert.True(asked.Enabled);
        Assert.False(TrayMenu.Of(Linked(Keyboard with { Here = false, MayRequest = false }), English)[1].Enabled);
        Assert.False(TrayMenu.Of(Linked(Keyboard with { Here = false, Moving = true }), English)[1].Enabled);
        Assert.False(TrayMenu.Of(Linked(Trackball), English)[1].Enabled);
    }

    [Fact]
    public void A_menu_stays_a_menu_however_much_the_service_tells()
    {
        var many = Enumerable.Range(0, 500).Select(number => Drive with { Name = $"drive{number}" }).ToArray();
        Assert.True(TrayMenu.Of(Linked(many), English).Count < 60);
    }

    private static string Draw(IEnumerable<MenuEntry> entries, string indent = "") => string.Join('\n', entries.Select(entry => Draw(entry, indent)));

    private static string Draw(MenuEntry entry, string indent)
    {
        if (entry == MenuEntry.Line)
            return indent + "--";
        var action = entry.Action switch
        {
            null => "",
            TrayAction.Ask ask => $" -> {string.Join(' ', [ask.Verb, .. ask.Targets])}",
            var other => $" -> {other.GetType().Name}",
        };
        var line = $"{indent}{(entry.Checked ? "[x] " : "")}{entry.Text}{(entry.Enabled ? "" : " (off)")}{action}";
        return entry.Entries is { } inner ? $"{line}\n{Draw(inner, indent + "  ")}" : line;
    }
}
