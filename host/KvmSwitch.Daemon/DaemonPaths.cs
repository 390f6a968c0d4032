namespace KvmSwitch.Daemon;

/// <summary>Where the daemon's files are.</summary>
/// <param name="Configuration">The configuration file.</param>
/// <param name="Socket">The control socket.</param>
/// <param name="Runtime">Sockets of machines; gone after a reboot.</param>
/// <param name="State">What is kept: wanted owners, history, certificates, machines' own files.</param>
internal sealed record DaemonPaths(string Configuration, string Socket, string Runtime, string State)
{
    public string StateFile => Path.Combine(State, "state.json");

    public string History => Path.Combine(State, "history.jsonl");

    public string DriverMemory => Path.Combine(State, "drivers.json");

    /// <summary>Where images of discs are while they are made.</summary>
    public string GuestTools => Path.Combine(Runtime, "guest-tools");

    public string RuntimeMachines => Path.Combine(Runtime, "machines");

    public string StateMachines => Path.Combine(State, "machines");
}
