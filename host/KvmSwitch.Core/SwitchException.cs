namespace KvmSwitch.Core;

/// <summary>Why a request did not succeed, in the terms that a caller acts on.</summary>
public enum Failure
{
    /// <summary>Something went wrong; what was begun has been undone.</summary>
    Failed = 1,

    /// <summary>The request itself is wrong: an unknown name, nothing named.</summary>
    Usage = 2,

    /// <summary>Not now, or not for you; nothing was changed.</summary>
    Refused = 4,

    /// <summary>It took too long; what was begun has been undone.</summary>
    TimedOut = 5,
}

/// <summary>A request did not succeed. The message is one sentence for people: what is wrong and what to do.</summary>
public sealed class SwitchException : Exception
{
    public SwitchException(Failure failure, string message, Exception? inner = null)
        : base(message, inner) => Failure = failure;

    public Failure Failure { get; }
}
