using System.Runtime.Versioning;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Windows.Hotkeys;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Session;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>Puts the parts together. Everything here happens on the window's thread.</summary>
[SupportedOSPlatform("windows")]
internal sealed class TrayUi : ITrayEvents, IDisposable
{
    // Enter on the icon is told twice (NIN_KEYSELECT), and nobody means to give back twice.
    private static readonly TimeSpan SameGesture = TimeSpan.FromMilliseconds(700);

    private readonly Texts texts;
    private readonly TrayWindow window;
    private readonly ShellIcon icon;
    private readonly ServiceLink service;
    private readonly SessionHotkeys hotkeys;
    private readonly CancellationTokenSource over = new();
    private readonly TimeProvider time;
    private TrayState state = TrayState.Starting;
    private IconHandle? picture;
    private (Look Look, bool Light, int Size) drawn;
    private bool isMenuOpen;
    private ulong lastId;
    private long lastActivation;

    public TrayUi(Texts texts, ServiceEdges edges)
    {
        this.texts = texts;
        time = edges.Time;
        window = new(this);
        icon = new(window.Handle, TrayWindow.Callback);
        Show();
        service = new(edges)
        {
            Heard = message => window.Post(() => Hear(message)),
            Unheard = health => window.Post(() => Become(state with { Health = health, Service = null })),
        };
        hotkeys = new(message => service.TrySend(message));
    }

    /// <summary>Returns when the session or the window ends.</summary>
    public void Run()
    {
        var linking = Task.Run(() => service.RunAsync(over.Token));
        window.Run();
        icon.Remove();
        over.Cancel();
        linking.GetAwaiter().GetResult();
    }

    public void Activated()
    {
        if (lastActivation != 0 && time.GetElapsedTime(lastActivation) < SameGesture)
            return;
        lastActivation = time.GetTimestamp();
        var entry = TrayMenu.GiveBack(state, texts);
        if (entry.Enabled)
            Do(entry.Action!);
        else
            icon.Tell(state.IsLinked
                ? new(texts[TextKey.NothingToGiveTitle], texts[TextKey.NothingToGiveText], IsTrouble: false)
                : new(texts[TextKey.FailedSomething], state.Describe(texts), IsTrouble: true));
    }

    public void MenuWanted(int x, int y)
    {
        if (isMenuOpen)
            return;
        isMenuOpen = true;
        try
        {
            if (PopupMenu.Choose(TrayMenu.Of(state, texts), window.Handle, x, y) is { } action)
                Do(action);
        }
        finally
        {
            isMenuOpen = false;
        }
    }

    public void TaskbarCreated() => Show();

    public void AppearanceChanged() => Show();

    public void Dispose()
    {
        over.Cancel();
        hotkeys.Dispose();
        icon.Remove();
        window.Dispose();
        picture?.Dispose();
        over.Dispose();
    }

    private void Hear(FromService message)
    {
        if (message.State is { } told)
        {
            Become(new(ServiceHealth.Answers, told, WasThere: true));
            hotkeys.Take(told);
        }

        if (message.Notice is { } notice)
            icon.Tell(Balloon.Of(notice, texts));
        if (message.Reply is { } reply && reply.Id <= lastId && Balloon.Of(reply, texts) is { } refusal)
            icon.Tell(refusal);
    }

    private void Become(TrayState now)
    {
        var before = state;
        state = now;
        Show();
        if (Balloon.Of(before, now, texts) is { } news)
            icon.Tell(news);
    }

    private void Do(TrayAction action)
    {
        switch (action)
        {
            case TrayAction.Ask ask:
                if (!service.TrySend(new(++lastId, ask.Verb, ask.Targets, "tray")))
                    icon.Tell(new(texts[TextKey.FailedSomething], state.Describe(texts), IsTrouble: true));
                break;
            case TrayAction.StartService:
                if (WindowsServiceControl.TryStart() is { } refusal)
                    icon.Tell(new(texts[TextKey.StartFailedTitle], refusal.NotAllowed ? texts[TextKey.StartFailedDenied] : refusal.Reason, IsTrouble: true));
                break;
            case TrayAction.TellPairing:
                TrayNative.MessageBox(window.Handle, texts[TextKey.PairingText], "KvmSwitch", 0);
                break;
            case TrayAction.About:
                TrayNative.MessageBox(window.Handle, About(), texts[TextKey.About], 0);
                break;
        }
    }

    private string About()
    {
        var lines = texts[TextKey.AboutText, Root.Version, state.Describe(texts)];
        return state.Service is { } told ? $"{lines}\n{texts[TextKey.ServiceVersion, told.Version]}" : lines;
    }

    private void Show()
    {
        var wanted = (state.Look, IconHandle.TaskbarIsLight, TrayNative.SmallIconSize);
        if (picture is null || wanted != drawn)
        {
            var old = picture;
            picture = IconHandle.Create(IconArt.Draw(wanted.Look, wanted.TaskbarIsLight, wanted.SmallIconSize), wanted.SmallIconSize);
            drawn = wanted;
            icon.Show(picture.Handle, Tip());
            old?.Dispose();
            return;
        }

        icon.Show(picture.Handle, Tip());
    }

    private string Tip() => $"KvmSwitch – {state.Describe(texts)}";
}
