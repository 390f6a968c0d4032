namespace KvmSwitch.Agent.Cli;

/// <summary>The journal of a program that a service manager watches: lines on stderr.</summary>
internal sealed class StandardError : IJournal
{
    public void Write(string line) => Console.Error.WriteLine(line);
}
