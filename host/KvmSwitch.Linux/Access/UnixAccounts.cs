using System.Globalization;

namespace KvmSwitch.Linux;

/// <summary>A user of /etc/passwd (passwd(5)).</summary>
public sealed record UnixUser(string Name, uint Uid, uint Gid)
{
    /// <summary>Null when there is none of this name.</summary>
    public static UnixUser? Find(string name) => UnixAccounts.Line("/etc/passwd", name) is [_, _, var uid, var gid, ..]
        && uint.TryParse(uid, NumberStyles.None, CultureInfo.InvariantCulture, out var user)
        && uint.TryParse(gid, NumberStyles.None, CultureInfo.InvariantCulture, out var group)
        ? new(name, user, group)
        : null;

    /// <summary>Makes a file or directory this user's and its group's.</summary>
    /// <exception cref="IOException">Not permitted, or not there.</exception>
    public void Own(string path) => UnixAccounts.ChangeOwner(path, Uid, Gid);
}

/// <summary>A group of /etc/group (group(5)).</summary>
public sealed record UnixGroup(string Name, uint Gid)
{
    /// <summary>Null when there is none of this name.</summary>
    public static UnixGroup? Find(string name) => UnixAccounts.Line("/etc/group", name) is [_, _, var gid, ..]
        && uint.TryParse(gid, NumberStyles.None, CultureInfo.InvariantCulture, out var group)
        ? new(name, group)
        : null;

    /// <summary>Gives a file to this group; its owner stays.</summary>
    /// <exception cref="IOException">Not permitted, or not there.</exception>
    public void Own(string path) => UnixAccounts.ChangeOwner(path, uint.MaxValue, Gid);
}

internal static class UnixAccounts
{
    public static string[]? Line(string file, string name) => File.ReadLines(file)
        .FirstOrDefault(line => line.StartsWith(name + ":", StringComparison.Ordinal))?.Split(':');

    /// <summary>An id of <see cref="uint.MaxValue"/> stays as it is (chown(2)). Symbolic links are not followed.</summary>
    public static void ChangeOwner(string path, uint user, uint group)
    {
        if (Libc.ChangeOwner(path, user, group) != 0) throw Libc.Error($"the owner of {path} can't be changed");
    }
}
