using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>What the sessions may know, kept current from the link, and told to each client. Safe from any thread; nothing here waits.</summary>
internal sealed class PipeBoard(string version) : ILinkListener, IHotkeys
{
    private readonly Lock gate = new();
    private readonly List<PipeClient> clients = [];
    private readonly Dictionary<PipeClient, IReadOnlyList<PipeHotkeyTrouble>> troubles = [];
    private Dictionary<string, PipeDevice>? known;
    private PipeState state = new(version, PipeLink.NotPaired, null, null, [], [], []);

    /// <summary>A session's process presses by a request of its own.</summary>
    public Action<Hotkey>? Pressed { get; set; }

    /// <summary>Called with the hotkeys that don't work in some session, after each change.</summary>
    public Action<IReadOnlyList<PipeHotkeyTrouble>>? Troubled { get; set; }

    public PipeState State
    {
        get
        {
            lock (gate)
                return state;
        }
    }

    public void LinkIs(LinkStanding standing, string? machine, string? trouble) => Change(old => old with
    {
        Link = standing switch
        {
            LinkStanding.Connected => PipeLink.Connected,
            LinkStanding.Refused => PipeLink.Refused,
            LinkStanding.Unreachable => PipeLink.Unreachable,
            _ => PipeLink.NotPaired,
        },
        Machine = machine,
        Trouble = trouble,
    });

    public void StateIs(GuestState? told)
    {
        Change(old => old with
        {
            Devices = [.. (told?.Devices ?? []).Select(one => new PipeDevice(one.Name, one.Label, one.Here, one.MayRequest, one.Moving))],
            Sets = [.. (told?.Sets ?? []).Select(one => new PipeSet(one.Name, [.. one.Devices]))],
        });
        if (told is not null)
            NoteMoves();
    }

    public void Watch(IReadOnlyList<Hotkey> hotkeys) => Change(old => old with { Hotkeys = [.. hotkeys.Select(Describe)] });

    public void Note(PipeNotice notice)
    {
        lock (gate)
            Note([notice]);
    }

    /// <summary>From now on the client is told; the state as it is comes first.</summary>
    public void Add(PipeClient client)
    {
        lock (gate)
        {
            clients.Add(client);
            client.SendState();
        }
    }

    public void Remove(PipeClient client)
    {
        lock (gate)
            clients.Remove(client);
        Report(client, []);
    }

    /// <summary>Takes what one session says of its hotkeys; of hotkeys that don't exist it may say nothing.</summary>
    public void Report(PipeClient client, IReadOnlyList<PipeHotkeyTrouble> told)
    {
        lock (gate)
        {
            if (told.Count == 0 && !troubles.Remove(client))
                return;
            if (told.Count > 0)
                troubles[client] = told;
        }

        Troubled?.Invoke(AllTroubles());
        Change(old => old with { Hotkeys = [.. old.Hotkeys.Select(one => one with { Conflict = IsTroubled(one.Chord) })] });
    }

    private static PipeVerb VerbOf(GuestAction action) => action.Verb == GuestAction.Types.Verb.Request ? PipeVerb.Request : PipeVerb.Return;

    private PipeHotkey Describe(Hotkey hotkey) => new(
        hotkey.Chord, VerbOf(hotkey.Action), [.. hotkey.Action.Targets], IsTroubled(hotkey.Chord),
        [.. hotkey.Keys.Select(codes => (IReadOnlyList<int>)[.. codes.Select(code => (int)code)])]);

    private bool IsTroubled(string chord) => troubles.Values.Any(told => told.Any(one => one.Chord == chord));

    private IReadOnlyList<PipeHotkeyTrouble> AllTroubles()
    {
        lock (gate)
            return [.. troubles.Values.SelectMany(told => told).DistinctBy(one => one.Chord)];
    }

    private void Change(Func<PipeState, PipeState> change)
    {
        lock (gate)
        {
            state = change(state);
            foreach (var client in clients)
                client.SendState();
        }
    }

    /// <summary>What arrived or left since the host last told. The first telling moves nothing.</summary>
    private void NoteMoves()
    {
        lock (gate)
        {
            var now = state.Devices.ToDictionary(one => one.Name, StringComparer.Ordinal);
            var before = known;
            known = now;
            if (before is null)
                return;
            var came = now.Values.Where(one => one.Here && before.GetValueOrDefault(one.Name) is not { Here: true });
            var left = before.Values.Where(one => one.Here && now.GetValueOrDefault(one.Name) is not { Here: true });
            Note([.. left.Select(one => new PipeNotice(PipeNoticeKind.Left, NameOf(one), null)), .. came.Select(one => new PipeNotice(PipeNoticeKind.Arrived, NameOf(one), null))]);
        }
    }

    private void Note(IEnumerable<PipeNotice> notices)
    {
        foreach (var notice in notices)
        {
            foreach (var client in clients)
                client.Send(new(Notice: notice));
        }
    }

    private static string NameOf(PipeDevice device) => device.Label.Length > 0 ? device.Label : device.Name;
}
