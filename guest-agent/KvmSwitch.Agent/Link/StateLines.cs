namespace KvmSwitch.Agent.Link;

/// <summary>Writes a line when the state changes, and not again for each attempt that ends the same way.</summary>
internal sealed class StateLines(IJournal journal)
{
    private string? last;

    public void Say(string line)
    {
        if (line == last)
            return;
        last = line;
        journal.Write(line);
    }
}
