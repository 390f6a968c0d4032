namespace KvmSwitch.Cli.Connection;

/// <summary>Standard output that takes nothing any more.</summary>
internal static class OutputFailure
{
    public static CliException Describe(IOException failure) => failure.HResult == Errno.BrokenPipe
        ? new CliException(ExitCode.Failed, "", failure)
        : new CliException(ExitCode.Failed, $"can't write the output: {failure.Message}", failure);
}
