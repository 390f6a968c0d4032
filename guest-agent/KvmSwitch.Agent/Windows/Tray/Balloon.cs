using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>What a balloon says.</summary>
internal sealed record Balloon(string Title, string Text, bool IsTrouble)
{
    /// <summary>For something that the service told.</summary>
    public static Balloon Of(PipeNotice notice, Texts texts) => notice.Kind switch
    {
        PipeNoticeKind.Arrived => new(texts[TextKey.Arrived, Subject(notice, texts)], notice.Reason ?? texts[TextKey.ArrivedText], IsTrouble: false),
        PipeNoticeKind.Left => new(texts[TextKey.Left, Subject(notice, texts)], notice.Reason ?? texts[TextKey.LeftText], IsTrouble: false),
        _ => new(
            notice.Device is { } device ? texts[TextKey.Failed, device] : texts[TextKey.FailedSomething],
            notice.Reason ?? texts[TextKey.FailedText],
            IsTrouble: true),
    };

    /// <summary>For what the service answered; null when it was done.</summary>
    public static Balloon? Of(PipeReply reply, Texts texts) =>
        reply.Error is { } error ? Of(new PipeNotice(PipeNoticeKind.Failed, null, error), texts) : null;

    /// <summary>For a change of state that a person has to know about; null when they needn't. A service that has not started yet after boot is no news.</summary>
    public static Balloon? Of(TrayState before, TrayState now, Texts texts) => (before, now) switch
    {
        (not { Service.Link: PipeLink.Refused }, { Service.Link: PipeLink.Refused }) => new(texts[TextKey.RefusedTitle], texts[TextKey.PairingText], IsTrouble: true),
        ({ Health: not ServiceHealth.Stopped }, { Health: ServiceHealth.Stopped, WasThere: true }) => new(texts[TextKey.StoppedTitle], texts[TextKey.StoppedText], IsTrouble: true),
        _ => null,
    };

    private static string Subject(PipeNotice notice, Texts texts) => notice.Device ?? texts[TextKey.ThisMachine];
}
