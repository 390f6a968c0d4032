using System.Globalization;

namespace KvmSwitch.Linux;

/// <summary>How UDisks2 answered.</summary>
internal enum UDisksAnswer
{
    Done,

    /// <summary>It isn't there, or the device is none of its.</summary>
    NotServed,

    /// <summary>A program uses it.</summary>
    Busy,
}

/// <summary>UDisks2, the system service by which desktops mount (storaged.org/doc/udisks2-api).</summary>
/// <param name="bus">The system's.</param>
internal sealed class UDisks(IMessageBus bus)
{
    private const string Service = "org.freedesktop.UDisks2";

    // Nobody sits before the daemon to type a password. Never "force": that is a lazy unmount, which leaves files open and unwritten.
    private static readonly BusValue Options = BusValue.Options(("auth.no_user_interaction", new BusValue.Flag(true)));

    /// <summary>Unmounts the device at one of the places where it is mounted, after all is written.</summary>
    /// <exception cref="MessageBusException">It refused.</exception>
    public Task<UDisksAnswer> UnmountAsync(string name, CancellationToken cancellationToken) => CallAsync(name, "Filesystem", "Unmount", cancellationToken);

    /// <summary>Closes what was opened of an encrypted device.</summary>
    /// <param name="name">Of the encrypted device, not of what was made of it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MessageBusException">It refused.</exception>
    public Task<UDisksAnswer> LockAsync(string name, CancellationToken cancellationToken) => CallAsync(name, "Encrypted", "Lock", cancellationToken);

    /// <summary>Letters, digits and underscores stay; each other byte is an underscore and two hexadecimal digits (udisks_safe_append_to_object_path).</summary>
    internal static string PathOf(string name) => "/org/freedesktop/UDisks2/block_devices/" + string.Concat(name.Select(
        letter => char.IsAsciiLetterOrDigit(letter) || letter == '_' ? $"{letter}" : $"_{((int)letter).ToString("x2", CultureInfo.InvariantCulture)}"));

    private async Task<UDisksAnswer> CallAsync(string name, string face, string member, CancellationToken cancellationToken)
    {
        try
        {
            await bus.CallMethodAsync(new(Service, PathOf(name), $"{Service}.{face}", member, Options), cancellationToken);
            return UDisksAnswer.Done;
        }
        catch (MessageBusException refusal) when (Meaning(refusal.ErrorName) is { } answer)
        {
            return answer;
        }
    }

    private static UDisksAnswer? Meaning(string? errorName) => errorName switch
    {
        null or "org.freedesktop.DBus.Error.ServiceUnknown" or "org.freedesktop.DBus.Error.NameHasNoOwner" => UDisksAnswer.NotServed,
        "org.freedesktop.DBus.Error.UnknownObject" or "org.freedesktop.DBus.Error.UnknownInterface" => UDisksAnswer.NotServed,
        // Mounted by the kernel's word, but not by that of UDisks2: a mount that it doesn't know.
        "org.freedesktop.DBus.Error.UnknownMethod" or $"{Service}.Error.NotSupported" or $"{Service}.Error.NotMounted" => UDisksAnswer.NotServed,
        // It could not be started: not installed properly, or masked.
        _ when errorName.StartsWith("org.freedesktop.DBus.Error.Spawn.", StringComparison.Ordinal) => UDisksAnswer.NotServed,
        _ when errorName.StartsWith("org.freedesktop.systemd1.", StringComparison.Ordinal) => UDisksAnswer.NotServed,
        $"{Service}.Error.DeviceBusy" => UDisksAnswer.Busy,
        _ => null,
    };
}
