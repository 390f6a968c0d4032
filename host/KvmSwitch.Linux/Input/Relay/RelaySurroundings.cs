using System.Runtime.InteropServices;

namespace KvmSwitch.Linux.Input;

/// <summary>Something whose descriptor the reading thread waits for.</summary>
internal interface IPollee
{
    SafeHandle Handle { get; }

    /// <summary>Its descriptor is readable. False: it can't be read any more.</summary>
    bool Pump();
}

/// <summary>What the loop that reads input does for others. For that loop.</summary>
internal interface IInputWork
{
    /// <summary>Does slow things side by side, at once and without holding up the reading, then tells how they ended (null: well; else the first error).</summary>
    void Aside(IEnumerable<Func<Task>> works, Action<Exception?> done);

    /// <summary>Does something on this thread after a time, unless it is disposed before.</summary>
    IDisposable After(TimeSpan time, Action action);

    void Poll(IPollee pollee);

    void Unpoll(IPollee pollee);
}

/// <summary>What a relay needs of the rest.</summary>
/// <param name="MakeClone">Makes a clone, and returns once it is there for all to see.</param>
/// <param name="Reopen">Closes a physical node and opens it anew.</param>
/// <param name="Warn">Takes sentences for the log.</param>
internal sealed record RelaySurroundings(
    IInputWork Work, Func<CloneSpec, Task<IVirtualInput>> MakeClone, Action<InputSource> Reopen, Action<string> Warn);
