namespace KvmSwitch.Qmp;

/// <summary>Deadlines and limits of one <see cref="QmpClient"/>.</summary>
public sealed record QmpClientOptions
{
    /// <summary>For connecting, the greeting and the negotiation together.</summary>
    public TimeSpan ConnectDeadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For the answer to a command that names no deadline of its own.</summary>
    public TimeSpan CommandDeadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For the peer to read one command from the socket. When it passes, the session ends: half a command can't be taken back.</summary>
    public TimeSpan WriteDeadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest line that is accepted, in bytes. QEMU's longest answer (<c>query-qmp-schema</c>) has about 0.2 MB.</summary>
    public int MaxLineBytes { get; init; } = 10 * 1024 * 1024;

    /// <summary>The clock that all deadlines run on.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
