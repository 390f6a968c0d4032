namespace KvmSwitch.Cli;

/// <summary>What a script may rely on. The daemon names 1, 2, 4 and 5 in the trailer <c>kvmswitch-exit</c>.</summary>
internal enum ExitCode
{
    Done = 0,
    Failed = 1,
    Usage = 2,
    NoDaemon = 3,
    Refused = 4,
    TimedOut = 5,
    Interrupted = 130,
}

/// <summary>An end that the user is told about in one sentence; never a defect of ours.</summary>
internal sealed class CliException(ExitCode exit, string message, Exception? inner = null) : Exception(message, inner)
{
    public ExitCode Exit { get; } = exit;
}
