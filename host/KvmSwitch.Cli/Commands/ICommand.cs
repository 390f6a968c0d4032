namespace KvmSwitch.Cli.Commands;

/// <summary>What a command line became: plain data, and how it is done.</summary>
internal interface ICommand
{
    /// <summary>What the user should know when it is interrupted; empty when nothing was changed.</summary>
    string WhenInterrupted => "";

    /// <summary>
    /// Whether it must end in good order. For another one the usual end by the signal is right, and listening for signals would cost it two threads.
    /// </summary>
    bool MindsInterruption => WhenInterrupted.Length > 0;

    /// <exception cref="CliException">It ended in a way that the user is told about.</exception>
    Task<ExitCode> RunAsync(Session session, CancellationToken cancellation);
}
