using System.Runtime.Versioning;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Link;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary>The agent of a Windows guest, put together: link, devices, and the pipe for the sessions.</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsAgent
{
    private readonly AgentRun agent;
    private readonly PipeListener pipe;

    public WindowsAgent(IdentityStore store, IJournal journal, string version)
    {
        var board = new PipeBoard(version);
        agent = new(store, new WindowsSystem(board), journal, version, board);
        board.Troubled = troubles => agent.Dialogue.Tell(Report(troubles));
        pipe = new(new(board, agent.Dialogue.AskAsync, TimeProvider.System), journal, TimeProvider.System);
    }

    /// <summary>Tells the host what happened to a session.</summary>
    public void Tell(SessionEvent.Types.Kind kind) => agent.Dialogue.Tell(kind);

    /// <exception cref="AgentException">The state directory can't be used.</exception>
    /// <exception cref="IOException">Windows does not let us watch.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var linking = agent.RunAsync(over.Token);
        var serving = pipe.RunAsync(over.Token);
        var first = await Task.WhenAny(linking, serving);
        await over.CancelAsync();
        await first;
        await Task.WhenAll(linking, serving);
    }

    private static HotkeyReport Report(IReadOnlyList<PipeHotkeyTrouble> troubles) => new()
    {
        Troubles = { troubles.Select(one => new HotkeyReport.Types.Trouble { Chord = one.Chord, Reason = one.Reason }) },
    };
}
