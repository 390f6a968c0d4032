namespace KvmSwitch.Cli.Connection;

/// <summary>What we know about a call before it is made.</summary>
/// <param name="Name">The words that were typed for it, for messages.</param>
/// <param name="Deadline">How long the daemon may take; null for a stream.</param>
/// <param name="Changes">Whether something may have happened even when no answer came.</param>
internal sealed record Call(string Name, TimeSpan? Deadline, bool Changes)
{
    public static Call Question(string name) => new(name, TimeSpan.FromSeconds(5), Changes: false);

    public static Call Change(string name) => new(name, TimeSpan.FromSeconds(60), Changes: true);

    public static Call Stream(string name, bool changes) => new(name, Deadline: null, changes);
}
