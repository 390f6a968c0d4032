using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Tray;

namespace KvmSwitch.Agent.Windows.Session;

internal enum CheckOutcome
{
    Fine,
    Broken,

    /// <summary>Can't be told, because an earlier link is broken or this user may not look.</summary>
    Unknown,
}

/// <summary>One link of the chain.</summary>
/// <param name="Text">One sentence; what to do where it is broken.</param>
internal sealed record Check(string Name, CheckOutcome Outcome, string Text);

/// <summary>What was found out about this computer.</summary>
/// <param name="Health">Of the service, as the service control manager has it; <see cref="ServiceHealth.Waiting"/> when it runs.</param>
/// <param name="State">What the service told over the pipe; null when it could not be asked.</param>
/// <param name="PipeTrouble">Why it could not be asked.</param>
/// <param name="Certificate">When this guest's certificate is valid; null when that can't be read.</param>
/// <param name="TrayRuns">In this session.</param>
internal sealed record Findings(
    ServiceHealth Health, PipeState? State, string? PipeTrouble, (DateTimeOffset From, DateTimeOffset To)? Certificate, DateTimeOffset Now, bool TrayRuns);

/// <summary>Judges each link of the chain from the tray to the host. Pure.</summary>
internal static class Doctor
{
    private const string PairAgain = "run 'kvmswitch guest tools NAME' on the host, or 'kvmswitch guest pair NAME' there and 'KvmSwitch.Agent.exe join CODE' here as administrator";

    public static IReadOnlyList<Check> Examine(Findings found) =>
        [Service(found), Pipe(found), Paired(found), Clock(found), Certificate(found), Host(found), Tray(found), Hotkeys(found)];

    private static Check Service(Findings found) => found.Health switch
    {
        ServiceHealth.Missing => new("service", CheckOutcome.Broken, "The service is not installed: run the installer."),
        ServiceHealth.Stopped => new("service", CheckOutcome.Broken, $"The service is not running: start it with 'net start {ServiceText.Name}' as administrator."),
        _ => new("service", CheckOutcome.Fine, "The service is running."),
    };

    private static Check Pipe(Findings found) => found switch
    {
        { State: { } state } => new("pipe", CheckOutcome.Fine, $"The service answers; its version is {state.Version}."),
        { Health: ServiceHealth.Missing or ServiceHealth.Stopped } => new("pipe", CheckOutcome.Unknown, "Nobody serves the pipe while the service does not run."),
        _ => new("pipe", CheckOutcome.Broken, $"The service runs and does not answer ({found.PipeTrouble}): restart it, and look at the event log's source KvmSwitch."),
    };

    private static Check Paired(Findings found) => found.State switch
    {
        null => new("pairing", CheckOutcome.Unknown, "Only the service knows."),
        { Link: PipeLink.NotPaired } => new("pairing", CheckOutcome.Broken, $"Not paired with a host: {PairAgain}."),
        { Link: PipeLink.Refused } => new("pairing", CheckOutcome.Broken, $"The host no longer accepts this machine: {PairAgain}."),
        { Machine: var machine } => new("pairing", CheckOutcome.Fine, $"Paired: this is machine {machine}."),
    };

    private static Check Clock(Findings found) => found switch
    {
        { State: { Link: PipeLink.Connected, Trouble: { } apart } } => new("clock", CheckOutcome.Broken, apart),
        { State.Link: PipeLink.Connected } => new("clock", CheckOutcome.Fine, "The clock agrees with the host's."),
        { Certificate: { } valid } when found.Now < valid.From => new("clock", CheckOutcome.Broken, $"The clock says {found.Now:yyyy-MM-dd}, before this machine was paired ({valid.From:yyyy-MM-dd}): set it right."),
        { Certificate: not null } => new("clock", CheckOutcome.Fine, $"The clock says {found.Now:yyyy-MM-dd}, which is after the pairing."),
        _ => new("clock", CheckOutcome.Unknown, $"The clock says {found.Now:yyyy-MM-dd HH:mm} UTC; only an administrator can compare that with the certificate."),
    };

    private static Check Certificate(Findings found) => found switch
    {
        { State.Link: PipeLink.Connected } => new("certificate", CheckOutcome.Fine, "The host accepts this machine's certificate."),
        { Certificate: { } valid } when found.Now > valid.To => new("certificate", CheckOutcome.Broken, $"The certificate ended on {valid.To:yyyy-MM-dd}: {PairAgain}."),
        { Certificate: { } valid } => new("certificate", CheckOutcome.Fine, $"The certificate is there and valid until {valid.To:yyyy-MM-dd}."),
        { State.Link: PipeLink.NotPaired } => new("certificate", CheckOutcome.Unknown, "There is none before pairing."),
        _ => new("certificate", CheckOutcome.Unknown, "Only an administrator can read it."),
    };

    private static Check Host(Findings found) => found.State switch
    {
        { Link: PipeLink.Connected } => new("host", CheckOutcome.Fine, "The link to the host is up."),
        { Link: PipeLink.Unreachable, Trouble: var trouble } => new(
            "host", CheckOutcome.Broken, $"The host does not answer: see there whether kvmswitchd runs and listens on this machine's network. {trouble}".TrimEnd()),
        { Link: PipeLink.Refused } => new("host", CheckOutcome.Fine, "The host is there and answers."),
        _ => new("host", CheckOutcome.Unknown, "It is not asked before the links above are in order."),
    };

    private static Check Tray(Findings found) => found.TrayRuns
        ? new("tray", CheckOutcome.Fine, "The tray runs in this session.")
        : new("tray", CheckOutcome.Broken, "The tray does not run in this session: start KvmSwitch from the Start menu, or 'KvmSwitch.Agent.exe tray'.");

    private static Check Hotkeys(Findings found)
    {
        if (found.State is not { } state)
            return new("hotkeys", CheckOutcome.Unknown, "Only the service knows.");
        var dead = state.Hotkeys.Where(hotkey => hotkey.Conflict).Select(hotkey => hotkey.Chord).ToArray();
        if (dead.Length > 0)
            return new("hotkeys", CheckOutcome.Broken, $"Another program has {string.Join(", ", dead)}: end that program, or choose another chord in the host's configuration.");
        if (state.Hotkeys.Count == 0)
            return new("hotkeys", CheckOutcome.Fine, "The host's configuration has no hotkeys for this machine.");
        return found.TrayRuns
            ? new("hotkeys", CheckOutcome.Fine, $"In force: {string.Join(", ", state.Hotkeys.Select(hotkey => hotkey.Chord))}.")
            : new("hotkeys", CheckOutcome.Broken, "The tray watches them, and it does not run in this session.");
    }
}
