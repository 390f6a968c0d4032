namespace KvmSwitch.Qmp;

/// <summary>What QEMU said of itself when the session began.</summary>
/// <param name="Version">QEMU's version, three numbers.</param>
/// <param name="Package">The packager's suffix, such as <c>Debian 1:7.2+dfsg-7</c>; may be empty.</param>
public sealed record QmpGreeting(Version Version, string Package);
