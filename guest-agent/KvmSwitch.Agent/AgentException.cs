namespace KvmSwitch.Agent;

/// <summary>Something that a person has to know: the message is one clear sentence, with the next step where there is one.</summary>
internal abstract class AgentException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The pairing code can't be read.</summary>
internal sealed class BadJoinCodeException(string message) : AgentException(message);

/// <summary>Pairing failed; nothing was stored.</summary>
internal sealed class JoinFailedException(string message, Exception? inner = null) : AgentException(message, inner)
{
    /// <summary>The host could not be asked, or doesn't want to be asked now: the code may still be good.</summary>
    public bool IsForNow { get; init; }
}

/// <summary>What is stored about the host can't be used.</summary>
internal sealed class BadIdentityException(string message, Exception? inner = null) : AgentException(message, inner);

/// <summary>The host could not be reached, or the link to it ended.</summary>
internal class LinkLostException(string message, Exception? inner = null) : AgentException(message, inner);

/// <summary>The host does not accept this guest's certificate.</summary>
internal sealed class LinkRefusedException(string message, Exception? inner = null) : LinkLostException(message, inner);
