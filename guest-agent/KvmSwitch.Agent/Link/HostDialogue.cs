using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Link;

/// <summary>What is said on a link beside devices: hotkeys, state and wishes from the host; requests and reports to it.</summary>
internal sealed class HostDialogue(LinkEdges edges)
{
    private const string NoLink = "There is no link to the host.";

    private readonly Lock gate = new();
    private readonly Dictionary<ulong, TaskCompletionSource<string?>> asked = [];
    private LinkSession? session;
    private HotkeyConfiguration? watched;
    private HotkeyReport report = new();
    private ulong lastRequest;
    private int ejecting;

    /// <summary>The host answered the hello of the newest link.</summary>
    public bool WasWelcomed { get; private set; }

    public void Begin(LinkSession started)
    {
        lock (gate)
        {
            WasWelcomed = false;
            session = started;
        }
    }

    public void End()
    {
        TaskCompletionSource<string?>[] open;
        lock (gate)
        {
            session = null;
            open = [.. asked.Values];
            asked.Clear();
        }

        foreach (var answer in open)
            answer.TrySetResult("The link to the host ended before it answered.");
        edges.Listener?.StateIs(null);
    }

    /// <summary>Takes one message. One that this version does not know is ignored.</summary>
    public void Hear(HostMessage message, Action<Welcome> welcomed)
    {
        switch (message.MessageCase)
        {
            case HostMessage.MessageOneofCase.Welcome:
                WasWelcomed = true;
                welcomed(message.Welcome);
                Report();
                break;
            case HostMessage.MessageOneofCase.Hotkeys:
                Watch(message.Hotkeys);
                break;
            case HostMessage.MessageOneofCase.State:
                edges.Listener?.StateIs(message.State);
                break;
            case HostMessage.MessageOneofCase.Reply:
                Take(message.Reply);
                break;
            case HostMessage.MessageOneofCase.Shutdown:
                ShutDown();
                break;
            case HostMessage.MessageOneofCase.Eject:
                Eject(message.Eject);
                break;
        }
    }

    /// <summary>Asks the host for the action of a hotkey, and tells the journal what came of it.</summary>
    public void Press(Hotkey hotkey) => _ = LogAsync(hotkey.Chord, AskAsync(hotkey.Action, "hotkey"));

    /// <summary>Asks the host. Without a link nothing is kept for later: an old wish would surprise.</summary>
    /// <returns>Null when it was done; else why not, one sentence.</returns>
    public Task<string?> AskAsync(GuestAction action, string gesture)
    {
        var answer = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            var id = ++lastRequest;
            if (session is null || !WasWelcomed || !session.Send(Messages.Request(id, action, gesture)))
                return Task.FromResult<string?>(NoLink);
            asked[id] = answer;
        }

        return answer.Task;
    }

    /// <summary>Tells what happened to a session of this guest. Without a link it is not kept: it would be told too late.</summary>
    public void Tell(SessionEvent.Types.Kind kind) => Send(Messages.Session(kind));

    /// <summary>Tells which hotkeys don't work, now and on each link to come.</summary>
    public void Tell(HotkeyReport troubles)
    {
        lock (gate)
        {
            if (report.Equals(troubles))
                return;
            report = troubles;
        }

        Send(Messages.Report(troubles));
    }

    private void Send(AgentMessage message)
    {
        lock (gate)
        {
            if (WasWelcomed)
                session?.Send(message);
        }
    }

    private void Report()
    {
        HotkeyReport told;
        lock (gate)
            told = report;
        if (told.Troubles.Count > 0)
            Send(Messages.Report(told));
    }

    private void Watch(HotkeyConfiguration configuration)
    {
        // The same ones again, after a reconnect: a gesture under way goes on.
        if (configuration.Equals(watched))
            return;
        watched = configuration;
        edges.Hotkeys.Watch(Hotkey.Read(configuration));
    }

    private void Take(GuestReply reply)
    {
        TaskCompletionSource<string?>? answer;
        lock (gate)
        {
            if (!asked.Remove(reply.Id, out answer))
                return;
        }

        answer.TrySetResult(reply.Ok ? null : reply.Error);
    }

    private async Task LogAsync(string chord, Task<string?> asking)
    {
        // Nothing was asked: say so in the words of a gesture.
        var error = await asking;
        edges.Journal.Write(error switch
        {
            null => $"Hotkey {chord}: done.",
            NoLink => $"Hotkey {chord}: not asked, because there is no link to the host.",
            _ => $"Hotkey {chord}: {error}",
        });
    }

    private void Eject(EjectRequest request)
    {
        // Heartbeats go on meanwhile. One at a time: the host asks one after the other, and another's flood must not pile up here.
        if (Interlocked.Exchange(ref ejecting, 1) == 1)
            Send(Messages.Ejected(request.Id, "The guest is still busy with ejecting another device."));
        else
            _ = Task.Run(() => EjectNow(request));
    }

    private void EjectNow(EjectRequest request)
    {
        string? objection;
        try
        {
            objection = edges.Ejector is { } ejector ? ejector.Eject(request.Key) : "This guest can't eject devices.";
        }
        catch (IOException failed)
        {
            objection = failed.Message;
        }
        finally
        {
            Volatile.Write(ref ejecting, 0);
        }

        edges.Journal.Write(objection is null ? "Storage was ejected, because the host takes it." : $"Storage stays: {objection}");
        Send(Messages.Ejected(request.Id, objection));
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
