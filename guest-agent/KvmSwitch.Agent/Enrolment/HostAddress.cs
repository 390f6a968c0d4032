namespace KvmSwitch.Agent.Enrolment;

/// <summary>Where the daemon listens for guests: <c>address:port</c>, an IPv6 address in brackets.</summary>
internal sealed record HostAddress
{
    private HostAddress(Uri uri) => Uri = uri;

    public Uri Uri { get; }

    /// <summary>Null when <paramref name="text"/> is not an address with a port.</summary>
    public static HostAddress? TryParse(string text) =>
        Uri.TryCreate("https://" + text, UriKind.Absolute, out var uri)
        && uri is { PathAndQuery: "/", UserInfo: "", Fragment: "", Port: > 0 }
        && text.EndsWith($":{uri.Port}", StringComparison.Ordinal)
            ? new(uri)
            : null;

    public override string ToString() => $"{Uri.Host}:{Uri.Port}";
}
