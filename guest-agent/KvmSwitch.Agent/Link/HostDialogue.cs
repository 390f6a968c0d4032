using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Link;

/// <summary>What is said on a link: hotkeys and shutdown from the host, requests to it.</summary>
internal sealed class HostDialogue(LinkEdges edges)
{
    private readonly Lock gate = new();
    private readonly Dictionary<ulong, string> asked = [];
    private LinkSession? session;
    private HotkeyConfiguration? watched;
    private ulong lastRequest;

    /// <summary>The host answered the hello of the newest link.</summary>
    public bool WasWelcomed { get; private set; }

    public void Begin(LinkSession started)
    {
        lock (gate)
        {
            WasWelcomed = false;
            asked.Clear();
            session = started;
        }
    }

    public void End()
    {
        lock (gate)
            session = null;
    }

    /// <summary>Takes one message. One that this version does not know is ignored.</summary>
    public void Hear(HostMessage message, Action<Welcome> welcomed)
    {
        switch (message.MessageCase)
        {
            case HostMessage.MessageOneofCase.Welcome:
                WasWelcomed = true;
                welcomed(message.Welcome);
                break;
            case HostMessage.MessageOneofCase.Hotkeys:
                Watch(message.Hotkeys);
                break;
            case HostMessage.MessageOneofCase.Reply:
                Log(message.Reply);
                break;
            case HostMessage.MessageOneofCase.Shutdown:
                ShutDown();
                break;
        }
    }

    /// <summary>Asks the host for the action of a hotkey. Without a link nothing is kept for later: an old wish would surprise.</summary>
    public void Press(Hotkey hotkey)
    {
        lock (gate)
        {
            var id = ++lastRequest;
            if (session is not null && WasWelcomed && session.Send(Messages.Request(id, hotkey.Action, "hotkey")))
                asked[id] = hotkey.Chord;
            else
                edges.Journal.Write($"Hotkey {hotkey.Chord}: not asked, because there is no link to the host.");
        }
    }

    private void Watch(HotkeyConfiguration configuration)
    {
        // The same ones again, after a reconnect: a gesture under way goes on.
        if (configuration.Equals(watched))
            return;
        watched = configuration;
        edges.Hotkeys.Watch(Hotkey.Read(configuration));
    }

    private void Log(GuestReply reply)
    {
        string? chord;
        lock (gate)
        {
            if (!asked.Remove(reply.Id, out chord))
                return;
        }

        edges.Journal.Write(reply.Ok ? $"Hotkey {chord}: done." : $"Hotkey {chord}: {reply.Error}");
    }

    private void ShutDown()
    {
        try
        {
            edges.Journal.Write($"The host asks this guest to shut down: {edges.Power.ShutDown()}.");
        }
        catch (IOException impossible)
        {
            edges.Journal.Write($"The host asks this guest to shut down, but it can't: {impossible.Message}");
        }
    }
}
