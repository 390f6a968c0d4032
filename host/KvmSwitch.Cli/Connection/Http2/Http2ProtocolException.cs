namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>The peer said something that a gRPC server never says.</summary>
internal sealed class Http2ProtocolException(string message) : Exception(message);

/// <summary>The peer ended the connection, or the call, before it had answered.</summary>
internal sealed class PeerGoneException(string message, Exception? cause = null) : Exception(message, cause);
