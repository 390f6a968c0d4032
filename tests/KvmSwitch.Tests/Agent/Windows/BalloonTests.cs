using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Tray;
using Xunit;
using static KvmSwitch.Tests.Agent.Windows.TrayExamples;

namespace KvmSwitch.Tests.Agent.Windows;

public sealed class BalloonTests
{
    private static readonly Texts English = Texts.Load("en");
    private static readonly TrayState Stopped = new(ServiceHealth.Stopped, null, WasThere: true);

    [Theory]
    [InlineData(PipeNoticeKind.Arrived, "Keyboard", null, "Keyboard is here", "You can use it now.")]
    [InlineData(PipeNoticeKind.Left, "Keyboard", null, "Keyboard is back at the host", "It works there again.")]
    [InlineData(PipeNoticeKind.Left, "Keyboard", "The lease ended.", "Keyboard is back at the host", "The lease ended.")]
    [InlineData(PipeNoticeKind.Failed, "Drive", "A file on it is open in notepad.exe.", "Drive: not switched", "A file on it is open in notepad.exe.")]
    [InlineData(PipeNoticeKind.Failed, null, null, "Not switched", "The host gave no reason.")]
    internal void A_notice_tells_what_happened_and_why(PipeNoticeKind kind, string? device, string? reason, string title, string text) =>
        Assert.Equal(new(title, text, kind == PipeNoticeKind.Failed), Balloon.Of(new PipeNotice(kind, device, reason), English));

    [Fact]
    public void The_same_in_Japanese() => Assert.Equal(
        new("キーボード がこちらに来ました", "すぐに使えます。", IsTrouble: false),
        Balloon.Of(new PipeNotice(PipeNoticeKind.Arrived, "キーボード", null), Texts.Load("ja")));

    [Fact]
    public void An_answer_is_told_only_when_it_is_a_no()
    {
        Assert.Null(Balloon.Of(new PipeReply(1, null), English));
        Assert.Equal(new("Not switched", "keyboard is busy.", IsTrouble: true), Balloon.Of(new PipeReply(1, "keyboard is busy."), English));
    }

    [Fact]
    public void A_refusal_by_the_host_is_told_once_and_with_what_to_do()
    {
        var refused = Told(PipeLink.Refused);
        var told = Balloon.Of(Told(Service), refused, English);
        Assert.Equal("The host no longer accepts this machine", told?.Title);
        Assert.Contains("kvmswitch guest tools", told?.Text, StringComparison.Ordinal);
        Assert.NotNull(Balloon.Of(TrayState.Starting, refused, English));
        Assert.Null(Balloon.Of(refused, refused, English));
    }

    [Fact]
    public void A_service_that_stops_is_told_but_not_one_that_has_not_started_yet()
    {
        Assert.Equal("The KvmSwitch service has stopped", Balloon.Of(new(ServiceHealth.Waiting, null, WasThere: true), Stopped, English)?.Title);
        Assert.Null(Balloon.Of(Stopped, Stopped, English));
        Assert.Null(Balloon.Of(TrayState.Starting, new(ServiceHealth.Stopped, null), English));
        Assert.Null(Balloon.Of(Stopped, Told(Service), English));
    }

    [Fact]
    public void Ordinary_changes_are_no_news_of_their_own() => Assert.Null(Balloon.Of(Told(Service), Linked(Drive), English));
}
